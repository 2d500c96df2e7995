/** How much is read of a file of data: more is refused, with the number. */
import { FileError } from "../../../core/io/files.ts"

/** Bytes of a table, and of the columns that are read of a parquet file once they are unpacked. */
export const largestTable = 2 ** 28

/** Rows of a table: three times as many as MNLI has, the largest task of GLUE. */
export const mostRows = 1_000_000

/** Rows that are read to check a file before anything runs: all but those of MNLI, QQP and QNLI. */
export const checkedRows = 100_000

export const tooManyRows = (path: string, found = "more"): FileError =>
  new FileError({
    path,
    doing: "read",
    found: `expected at most ${mostRows} rows, found ${found}`,
    advice: "Give a part of it",
  })
