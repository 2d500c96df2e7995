import { Effect } from "effect"
import { attempt, FileError } from "../../../core/io/files.ts"

const largestTable = 2 ** 28
const mostRows = 10_000_000

/**
 * Columns of a parquet file, in the order in which they are named.
 *
 * @returns the rows; cells are strings, numbers, bigints, null …, as the file has them
 * @throws FileError where the file is missing, damaged, too large, compressed in a way that is not read here, or
 *   lacks one of the columns
 */
export const readParquet = Effect.fnUntraced(function* (path: string, columns: readonly string[]) {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetRead, parquetSchema } = yield* Effect.promise(
    () => import("hyparquet"),
  )
  const damaged = (cause: unknown) =>
    new FileError({
      path,
      doing: "read",
      found: `it is no parquet file, or a damaged one (${cause instanceof Error ? cause.message : String(cause)})`,
      advice: "Copy or download it again",
    })
  // What the format cannot make sense of is thrown as all sorts of errors, out-of-range reads among them.
  const parse = <A>(body: () => Promise<A>) => Effect.tryPromise({ try: body, catch: damaged })

  const file = yield* attempt("read", path, () => asyncBufferFromFile(path))
  if (file.byteLength > largestTable) {
    const found = `it has ${file.byteLength} bytes, at most ${largestTable} were expected`
    return yield* new FileError({ path, doing: "read", found })
  }
  const metadata = yield* parse(() => parquetMetadataAsync(file))
  const names = parquetSchema(metadata).children.map(({ element }) => element.name)
  const missing = columns.filter((column) => !names.includes(column))
  if (missing.length > 0) {
    const found = `it has the columns ${names.join(", ")}; ${columns.join(", ")} were expected`
    return yield* new FileError({ path, doing: "read", found })
  }
  const count = Number(metadata.num_rows)
  if (!(count > 0 && count <= mostRows)) {
    const found = `it has ${count} rows, 1 to ${mostRows} were expected`
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
