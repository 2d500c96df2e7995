import { FileError } from "../../../core/io/files.ts"

/** What stands somewhere in a file that cannot be used. */
export const badLine = (
  path: string,
  where: string,
  found: string,
  expected: string,
  advice?: string,
): FileError =>
  new FileError({
    path,
    doing: "read",
    found: `${where} ${found}, ${expected} expected`,
    ...(advice === undefined ? {} : { advice }),
  })

/** Text from a file, short enough for a message. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
