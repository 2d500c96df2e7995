import { basename } from "node:path"
import { Effect } from "effect"
import { FileError, readText } from "../../../core/io/files.ts"
import { checked, type Place, scoreOf, textOf } from "../shared/labelled.ts"
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
  const { columns } = layout
  const sentences = columns.filter((column) => /^sentence/.test(column))
  const score = columns.findIndex((column) => column.endsWith("score"))
  const rows = yield* readTsv(path, layout)
  return yield* checked(path, () =>
    rows.map(({ line, cells }) => {
      const texts = sentences.map((column) => cells[columns.indexOf(column)])
      return pairOf({ path, where: `line ${line}` }, sentences, texts, cells[score])
    }),
  )
})

/** The pairs of STS-B in the hub's copy of GLUE. */
export const pairsOfParquet = Effect.fnUntraced(function* (path: string) {
  const columns = ["sentence1", "sentence2"]
  const rows = yield* readParquet(path, [...columns, "label"])
  return yield* checked(path, () =>
    rows.map((cells, i) => pairOf({ path, where: `row ${i + 1}` }, columns, cells.slice(0, 2), cells[2])),
  )
})

/** The pairs of one subset of STS12–16. A pair whose gold line is empty has no score and is skipped. */
export const pairsOfSubset = Effect.fnUntraced(function* (input: string, gold: string) {
  const columns = ["sentence1", "sentence2"]
  const sentences = yield* readTsv(input, { columns, header: false, more: true })
  const scores = linesOf(yield* readText(gold, largestFile))
  if (scores.length !== sentences.length) {
    const found = `expected ${sentences.length} lines, as in ${basename(input)}, found ${scores.length}`
    return yield* new FileError({ path: gold, doing: "read", found })
  }
  return yield* checked(input, () =>
    sentences.flatMap(({ line, cells }) => {
      const [where, score] = [`line ${line}`, scores[line - 1]!]
      if (score.trim() === "") return []
      return [pairOf({ path: input, where }, columns, cells, score, { path: gold, where })]
    }),
  )
})

const range = [0, 5] as const

/** @throws FileError if a sentence has no text, or the score is out of range; `scored`: where the score is */
const pairOf = (
  place: Place,
  columns: readonly string[],
  cells: readonly unknown[],
  cell: unknown,
  scored: Place = place,
): ScoredPair => {
  const score = scoreOf(scored, cell, range)
  const { first, second } = textOf(place, columns, cells, false)
  return { first, second: second!, score }
}
