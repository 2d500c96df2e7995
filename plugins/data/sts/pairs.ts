import { basename } from "node:path"
import { Effect } from "effect"
import { FileError, readText } from "../../../core/io/files.ts"
import { badLine, quoted } from "../shared/bad-line.ts"
import { readParquet } from "../shared/parquet.ts"
import { linesOf, readTsv, type TsvLayout } from "../shared/tsv.ts"

export interface ScoredPair {
  readonly first: string
  readonly second: string
  /** Similarity, higher for more similar sentences: 0 to 5, in SICK-R 1 to 5. */
  readonly score: number
}

const largestFile = 2 ** 26

/** Layouts of the files that have sentences and scores side by side, by file extension. */
const layouts: Readonly<Record<string, TsvLayout>> = {
  // SentEval's stsbenchmark. Some rows name the sources of their sentences in two more columns.
  csv: {
    columns: ["genre", "file", "year", "number", "score", "sentence1", "sentence2"],
    header: false,
    more: true,
  },
  // GLUE's STS-B.
  tsv: {
    columns: [
      ..."index genre filename year old_index source1 source2".split(" "),
      "sentence1",
      "sentence2",
      "score",
    ],
    header: true,
  },
  // SentEval's SICK.
  txt: {
    columns: ["pair_ID", "sentence_A", "sentence_B", "relatedness_score", "entailment_judgment"],
    header: true,
  },
}

/** The pairs of one file of STS-B or SICK-R. */
export const pairsOfTable = Effect.fnUntraced(function* (path: string) {
  const layout = layouts[basename(path).split(".").at(-1)!]!
  const indexOf = (start: string) => layout.columns.findIndex((column) => column.startsWith(start))
  const [first, second, score] = [
    indexOf("sentence"),
    indexOf("sentence") + 1,
    layout.columns.findIndex((column) => column.endsWith("score")),
  ]
  return yield* Effect.forEach(yield* readTsv(path, layout), ({ line, cells }) =>
    scored(path, `line ${line}`, cells[first], cells[second], cells[score]!),
  )
})

/** The pairs of STS-B in the hub's copy of GLUE. */
export const pairsOfParquet = Effect.fnUntraced(function* (path: string) {
  const rows = yield* readParquet(path, ["sentence1", "sentence2", "label"])
  return yield* Effect.forEach(rows, ([first, second, score], i) =>
    scored(path, `row ${i + 1}`, first, second, String(score)),
  )
})

/** The pairs of one subset of STS12–16. A pair whose gold line is empty has no score and is skipped. */
export const pairsOfSubset = Effect.fnUntraced(function* (input: string, gold: string) {
  const sentences = yield* readTsv(input, { columns: ["sentence1", "sentence2"], header: false, more: true })
  const scores = linesOf(yield* readText(gold, largestFile))
  if (scores.length !== sentences.length) {
    const found = `expected ${sentences.length} lines, as in ${basename(input)}, found ${scores.length}`
    return yield* new FileError({ path: gold, doing: "read", found })
  }
  const rows = sentences.filter(({ line }) => scores[line - 1]!.trim() !== "")
  return yield* Effect.forEach(rows, ({ line, cells: [first, second] }) =>
    Effect.gen(function* () {
      const score = yield* numberOf(gold, `line ${line}`, scores[line - 1]!)
      return yield* pair(input, `line ${line}`, first, second, score)
    }),
  )
})

const scored = Effect.fnUntraced(function* (
  path: string,
  where: string,
  first: unknown,
  second: unknown,
  score: string,
) {
  return yield* pair(path, where, first, second, yield* numberOf(path, where, score))
})

const pair = Effect.fnUntraced(function* (
  path: string,
  where: string,
  first: unknown,
  second: unknown,
  score: number,
) {
  if (isText(first) && isText(second)) return { first, second, score } satisfies ScoredPair
  const which = isText(first) ? "second" : "first"
  return yield* badLine(path, where, "nothing", `text as its ${which} sentence`)
})

const isText = (value: unknown): value is string => typeof value === "string" && value.trim() !== ""

const numberOf = Effect.fnUntraced(function* (path: string, where: string, text: string) {
  const score = /^\s*(\d+\.?\d*|\.\d+)\s*$/.test(text) ? Number(text) : Number.NaN
  if (score <= 5) return score
  return yield* badLine(path, where, quoted(text), "a score from 0 to 5")
})
