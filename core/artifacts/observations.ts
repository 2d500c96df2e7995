import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { decode, InvalidInput } from "../io/decode.ts"
import { FileError, readJson, readText, writeFile, writeJson } from "../io/files.ts"
import { parseJson } from "../io/json.ts"
import { describeOptions } from "../io/options.ts"
import { ArrayFile, readArray, writeArray } from "./arrays.ts"
import type { ArtifactKind } from "./kind.ts"

/** A cell of an observation: a plain value or an array of float64, such as a Gram matrix. */
export type Cell = number | string | boolean | null | Float64Array
/** One observation of a probe. */
export type Row = Readonly<Record<string, Cell>>

const PlainRow = type("Record<string, unknown>")
const ArrayCell = type({ "+": "reject", $array: ["number.integer >= 0", "number.integer >= 0"] })
const ObservationsFile = type({ "+": "reject", rows: "number.integer >= 0", arrays: ArrayFile })

/** What is known of observations before they are made. */
export interface ObservationsEstimate {
  readonly rows: number
  /** Of the rows; empty if their type does not name them. */
  readonly columns: readonly string[]
  /** The steps of training at which they are made; left out where they are not made during one. */
  readonly steps?: readonly number[]
}

export interface ObservationsKind<R extends Row>
  extends ArtifactKind<"observations", readonly R[], readonly R[], ObservationsEstimate> {
  /** The columns that the type of the rows names. */
  readonly columns: readonly string[]
}

/** TypeScript would take 20 seconds to infer what decoding a `type<R>` gives while R is unresolved. */
const anyType = <R extends Row>(row: type<R>) => row as unknown as type.Any

/** Refuses NaN and Infinity too, which JSON would store as null. */
const checkRow = <R extends Row>(
  what: string,
  row: type<R>,
  cells: R,
): Effect.Effect<unknown, InvalidInput> => {
  const problems = Object.entries(cells).flatMap(([name, cell]) =>
    typeof cell === "number" && !Number.isFinite(cell) ? [`${name} must be finite (was ${cell})`] : [],
  )
  return problems.length > 0
    ? Effect.fail(new InvalidInput({ what, problems }))
    : decode(what, anyType(row))(cells)
}

/**
 * The kind of artifact that holds rows of type `R`. On disk: `rows.jsonl`, one row a line, in which an array is
 * `{"$array": [start, length]}`: its range in the one float64 file beside it.
 *
 * @param row the arktype against which every row is checked when it is written and when it is read
 */
export const observationsOf = <R extends Row>(row: type<R>): ObservationsKind<R> => ({
  name: "observations",
  columns: describeOptions(anyType(row)).map(({ name }) => name),
  write: Effect.fnUntraced(function* (folder, rows) {
    for (const [index, cells] of rows.entries())
      yield* checkRow(`row ${index + 1} of the observations`, row, cells)
    const arrays: Float64Array[] = []
    let length = 0
    const lines = rows.map((cells) => {
      const plain = Object.entries(cells).map(([name, cell]) => {
        if (!(cell instanceof Float64Array)) return [name, cell] as const
        arrays.push(cell)
        length += cell.length
        return [name, { $array: [length - cell.length, cell.length] }] as const
      })
      return `${JSON.stringify(Object.fromEntries(plain))}\n`
    })
    const all = new Float64Array(length)
    let start = 0
    for (const array of arrays) {
      all.set(array, start)
      start += array.length
    }
    yield* writeFile(join(folder, "rows.jsonl"), lines.join(""))
    const file = yield* writeArray(folder, "arrays", all)
    yield* writeJson(join(folder, "observations.json"), { rows: rows.length, arrays: file })
  }),
  read: Effect.fnUntraced(function* (folder) {
    const file = yield* readJson(join(folder, "observations.json"), ObservationsFile)
    const all = yield* readArray(folder, file.arrays, "f64")
    const path = join(folder, "rows.jsonl")
    const lines = (yield* readText(path)).split("\n").slice(0, -1)
    if (lines.length !== file.rows) {
      const found = `expected ${file.rows} rows, found ${lines.length}`
      return yield* new FileError({ path, doing: "read", found })
    }
    return yield* Effect.forEach(lines, (line, i) =>
      Effect.gen(function* () {
        const json = yield* Effect.try({
          try: () => parseJson(line),
          catch: () => new FileError({ path, doing: "read", found: `line ${i + 1} is not JSON` }),
        })
        const plain = yield* decode(`${path}, line ${i + 1}`, PlainRow)(json)
        const cells: [string, unknown][] = []
        for (const [name, cell] of Object.entries(plain)) {
          const [at, count] = ArrayCell.allows(cell) ? cell.$array : []
          if (at === undefined || count === undefined) cells.push([name, cell])
          else if (at + count <= all.length) cells.push([name, all.slice(at, at + count)])
          else {
            const found = `line ${i + 1}: expected the range of ${name} within ${all.length} numbers, found ${at} to ${at + count}`
            return yield* new FileError({ path, doing: "read", found })
          }
        }
        return (yield* decode(`${path}, line ${i + 1}`, anyType(row))(Object.fromEntries(cells))) as R
      }),
    )
  }),
})

/** Rows of any probe, for code that displays or saves observations without knowing the probe. */
export const anyObservations: ObservationsKind<Row> = observationsOf<Row>(
  type("Record<string, unknown>") as unknown as type<Row>,
)
