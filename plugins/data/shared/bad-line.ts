import { FileError } from "../../../core/io/files.ts"

/** What stands at a place of a file that cannot be used. */
export const badLine = (
  path: string,
  place: string,
  found: string,
  expected: string,
  advice?: string,
): FileError =>
  new FileError({
    path,
    doing: "read",
    found: `${place} ${found}, ${expected} expected`,
    ...(advice === undefined ? {} : { advice }),
  })

/** Text from a file, short enough for a message. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
