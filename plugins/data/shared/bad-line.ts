import { FileError } from "../../../core/io/files.ts"

/** The error for a line or row of a file that cannot be used; `where` names it, such as "line 3". */
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
    found: `${where}: expected ${expected}, found ${found}`,
    ...(advice === undefined ? {} : { advice }),
  })

/** Text from a file, quoted and short enough for a message. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
