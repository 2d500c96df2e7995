import { Effect } from "effect"
import { FileError, readBytes } from "../../../core/io/files.ts"
import { largestTable, mostRows, tooManyRows } from "./limits.ts"

/** Bytes of the metadata at the end of a file. */
export const largestMetadata = 2 ** 24

/**
 * The given columns of a parquet file, in the given order.
 *
 * @param first how many rows to read from the start, at least; all by default
 * @returns the rows; cells are strings, numbers, bigints, null …, as in the file
 * @throws FileError if the file is missing, damaged, too large, unpacks to too much, is compressed or encoded in an
 *   unsupported way, has no rows or too many, or lacks one of the columns
 */
export const readParquet = Effect.fnUntraced(function* (
  path: string,
  columns: readonly string[],
  first = Number.POSITIVE_INFINITY,
) {
  const { metadataOf, readColumns } = yield* Effect.promise(() => import("./parquet/columns.ts"))
  // Given data that it cannot parse, hyparquet throws errors of any type, such as RangeError.
  const parse = <A>(body: () => A) =>
    Effect.try({
      try: body,
      catch: (cause) =>
        cause instanceof FileError
          ? cause
          : new FileError({
              path,
              doing: "read",
              found: `it is damaged, or not a parquet file (${reasonOf(cause)})`,
              advice: "Copy or download it again",
            }),
    })

  const bytes = yield* readBytes(path, largestTable)
  const metadata = yield* parse(() => metadataOf(bytes, largestMetadata))
  const missing = columns.filter((column) => !metadata.names.includes(column))
  if (missing.length > 0) {
    const found = `expected the columns ${columns.join(", ")}; found ${metadata.names.join(", ")}`
    return yield* new FileError({ path, doing: "read", found })
  }
  const { count } = metadata
  if (count > mostRows) return yield* tooManyRows(path, String(count))
  if (count < 1) return yield* new FileError({ path, doing: "read", found: "it has no rows" })
  return yield* parse(() => {
    const rows: unknown[][] = []
    for (const group of readColumns(bytes, metadata, columns, largestTable)) {
      const [height = 0] = group.map(({ length }) => length)
      for (let i = 0; i < height; i++) rows.push(group.map((cells) => cells[i]))
      if (rows.length >= first) return rows
    }
    if (rows.length !== count) throw new Error(`${rows.length} of ${count} rows`)
    return rows
  })
})

/** Where it reads what is not there, hyparquet throws what only its authors can read. */
const reasonOf = (cause: unknown): string =>
  cause instanceof Error && cause.name === "Error" ? cause.message : "its parts contradict each other"
