import { Effect } from "effect"
import { attempt, FileError } from "../../../core/io/files.ts"

const largestTable = 2 ** 28
const mostRows = 10_000_000

/**
 * The given columns of a parquet file, in the given order.
 *
 * @returns the rows; cells are strings, numbers, bigints, null …, as in the file
 * @throws FileError if the file is missing, damaged, too large, compressed with an unsupported codec, has no rows or
 *   too many, or lacks one of the columns
 */
export const readParquet = Effect.fnUntraced(function* (path: string, columns: readonly string[]) {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetRead, parquetSchema } = yield* Effect.promise(
    () => import("hyparquet"),
  )
  const damaged = (cause: unknown) =>
    new FileError({
      path,
      doing: "read",
      found: `it is damaged, or not a parquet file (${cause instanceof Error ? cause.message : String(cause)})`,
      advice: "Copy or download it again",
    })
  // Given data that it cannot parse, hyparquet throws errors of any type, such as RangeError.
  const parse = <A>(body: () => Promise<A>) => Effect.tryPromise({ try: body, catch: damaged })

  const file = yield* attempt("read", path, () => asyncBufferFromFile(path))
  if (file.byteLength > largestTable) {
    const found = `expected at most ${largestTable} bytes, found ${file.byteLength}`
    return yield* new FileError({ path, doing: "read", found })
  }
  const metadata = yield* parse(() => parquetMetadataAsync(file))
  const names = parquetSchema(metadata).children.map(({ element }) => element.name)
  const missing = columns.filter((column) => !names.includes(column))
  if (missing.length > 0) {
    const found = `expected the columns ${columns.join(", ")}; found ${names.join(", ")}`
    return yield* new FileError({ path, doing: "read", found })
  }
  const count = Number(metadata.num_rows)
  if (!(count > 0 && count <= mostRows)) {
    const found = `expected 1 to ${mostRows} rows, found ${count}`
    return yield* new FileError({ path, doing: "read", found })
  }
  const rows: unknown[][] = []
  yield* parse(() =>
    parquetRead({
      file,
      metadata,
      columns: [...columns],
      onComplete: (all) => {
        for (const row of all) rows.push(row)
      },
    }),
  )
  if (rows.length === count) return rows
  return yield* damaged(new Error(`${rows.length} of ${count} rows`))
})
