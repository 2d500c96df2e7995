import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Examples } from "../../core/artifacts/examples.ts"
import { type MetricName, metricNames, metricProblems } from "../../core/artifacts/metrics.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { hubAddress, hubSources, localSources } from "../../core/hub/address.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { permutation, stream } from "../../core/tensor/stream.ts"
import { badLine, quoted } from "./shared/bad-line.ts"
import { countRows } from "./shared/count-rows.ts"
import { formatOf, formats } from "./shared/format.ts"
import { checked, classOf, encodeSplits, type LabelledText, scoreOf, textOf } from "./shared/labelled.ts"
import { type Lengths, meanLength } from "./shared/lengths.ts"
import { checkedRows, largestTable } from "./shared/limits.ts"
import { FileSource, localFile } from "./shared/source.ts"
import { readTable, type TableRow } from "./table/rows.ts"

/** More are hardly classes: scores, or another column. */
const mostClasses = 1000
/** Typical of a sentence; the text is not read for an estimate. */
const lengths: Lengths = [8, 11, 14, 17, 20, 23, 27, 32, 39, 59]

const TableFile = FileSource.narrow(
  (source, context) =>
    formatOf(source) !== undefined ||
    context.mustBe(`a file whose name ends in ${formats.map((format) => `.${format}`).join(", ")}`),
)

const finite = type("number").narrow((value, context) => Number.isFinite(value) || context.mustBe("finite"))

const Options = type({
  "+": "reject",
  /**
   * The examples to train on, one a row: `.tsv` (no quoting), `.csv` (RFC 4180), each with a header, `.jsonl` or
   * `.parquet`: a path, or `hf://datasets/owner/name/file`.
   */
  train: TableFile,
  /** The examples to evaluate on, with the same columns; by default a part of `train` is held out. */
  "dev?": TableFile,
  /** The fraction of `train` that is held out if there is no `dev`. */
  heldOut: "0 < number < 1 = 0.1",
  /** Draws the examples that are held out. */
  seed: "0 <= number.integer <= 4294967295 = 0",
  /** The columns of the one or two sentences of an example. */
  sentences: type("string > 0").array().atLeastLength(1).atMostLength(2),
  /** The column of the label. */
  label: "string > 0 = 'label'",
  /** Whether labels name classes or are scores. */
  labels: "'classes' | 'scores' = 'classes'",
  /** The classes as written in the column of the label; by default those that `train` has, sorted. */
  "classes?": type("string > 0")
    .array()
    .atLeastLength(2)
    .narrow((names, context) => new Set(names).size === names.length || context.mustBe("different names")),
  /** The lowest and the highest score that is accepted; by default any. */
  "range?": type([finite, finite]).narrow(
    ([low, high], context) => low < high || context.mustBe("the lower score, then the higher"),
  ),
  /**
   * The metrics: accuracy, f1 (of the second class of two), matthews; of scores pearson and spearman. By the first, a
   * run is better than the baseline or has failed. By default accuracy, or pearson and spearman.
   */
  "metrics?": type
    .enumerated(...metricNames)
    .array()
    .atLeastLength(1),
  /** Maximum tokens per example, special tokens included; longer ones are truncated, the longer sentence first. */
  maxLength: "5 <= number.integer <= 512 = 128",
}).narrow(({ labels, classes, range }, context) => {
  if (labels === "scores" && classes !== undefined)
    return context.reject({ path: ["classes"], expected: "omitted where labels are scores", actual: "given" })
  return (
    labels === "scores" ||
    range === undefined ||
    context.reject({ path: ["range"], expected: "omitted where labels are classes", actual: "given" })
  )
})
type Options = typeof Options.infer

/** For an estimate, which does not read the classes of the train file. */
const presumed = ["0", "1"]

const takes = { vocabulary: Vocabulary }

const metricsOf = ({ metrics, labels }: Options): readonly MetricName[] =>
  metrics ?? (labels === "scores" ? ["pearson", "spearman"] : ["accuracy"])

/** How many of `count` examples are held out: at least one, and not all of two or more. */
const heldOutOf = (count: number, fraction: number): number =>
  Math.min(Math.max(1, Math.round(fraction * count)), Math.max(1, count - 1))

const checkMetrics = (options: Options, labelNames: readonly string[] | null) => {
  const problems = metricProblems(metricsOf(options), labelNames)
  return problems.length === 0 ? null : new InvalidInput({ what: "table: metrics", problems })
}

/** Examples of any task, from tables with named columns. */
export const table = plugin({
  name: "table",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "Labelled sentences or pairs of them from TSV, CSV, JSON Lines or parquet: classes or scores",
  options: Options,
  takes,
  gives: Examples,
  usesBackend: false,
  reads: ({ train, dev }) => {
    const sources = dev === undefined ? [train] : [train, dev]
    return [...localSources(...sources), ...hubSources(...sources)]
  },
  estimate: (options, inputs) => {
    const { train, dev, heldOut, sentences, labels, classes, maxLength } = options
    const problem = checkMetrics(options, labels === "scores" ? null : (classes ?? presumed))
    if (problem !== null) throw problem
    const all = countRows(train, formatOf(train)!)
    const held = dev === undefined ? heldOutOf(all, heldOut) : countRows(dev, formatOf(dev)!)
    const counts = { train: dev === undefined ? all - held : all, dev: held }
    const tokensPerExample = meanLength(
      lengths.map((length) => sentences.length * length),
      maxLength,
    )
    const disk = (counts.train + counts.dev) * (8 * tokensPerExample + 12)
    return {
      artifact: {
        ...counts,
        tokensPerExample,
        labels: labels === "scores" ? 1 : (classes ?? presumed).length,
        labelKind: labels,
        metrics: metricsOf(options),
        vocabularySize: inputs.vocabulary.size,
      },
      cost: cost({ memory: 2.5e8 + 5 * disk, disk }),
    }
  },
  checkFiles: Effect.fn("table.checkFiles")(function* (options) {
    const local = [options.train, options.dev].every(
      (source) => source === undefined || hubAddress(source) === null,
    )
    if (local) yield* readSplits(options, checkedRows)
  }),
  run: Effect.fn("table")(function* ({
    options,
    inputs: { vocabulary },
  }: RunContext<Options, typeof takes, never>) {
    const { splits, labelNames } = yield* readSplits(options)
    const { maxLength } = options
    return yield* encodeSplits(vocabulary, splits, { labelNames, metrics: metricsOf(options), maxLength })
  }),
})

/**
 * The examples of both splits.
 *
 * @param first how many rows of each file to read. If a file has more, other classes may follow, so that those that are
 *   read from the train file are not checked
 */
const readSplits = Effect.fnUntraced(function* (options: Options, first = Number.POSITIVE_INFINITY) {
  const { train, dev, heldOut, seed, sentences, label, labels, range } = options
  const rowsOf = Effect.fnUntraced(function* (source: string) {
    const path = yield* localFile(source, largestTable)
    return yield* readTable(path, formatOf(source)!, [...sentences, label], first)
  })
  const trainRows = yield* rowsOf(train)
  const whole = trainRows.length < first
  const labelNames =
    labels === "scores"
      ? null
      : (options.classes ?? (whole ? yield* checked(train, () => classesOf(trainRows, label)) : undefined))
  const problem = labelNames === undefined ? null : checkMetrics(options, labelNames)
  if (problem !== null) return yield* problem
  const texts = (source: string, rows: readonly TableRow[]) =>
    checked(source, () =>
      rows.map((row): LabelledText => {
        const name = labelNames === null ? "" : nameOf(row, label)
        return {
          ...textOf(row, sentences, row.cells.slice(0, -1), false),
          label:
            labelNames === null
              ? scoreOf(placeOf(row, label), row.cells.at(-1), range)
              : labelNames === undefined
                ? 0
                : classOf(placeOf(row, label), labelNames, name),
        }
      }),
    )
  const all = yield* texts(train, trainRows)
  const splits =
    dev === undefined
      ? heldOutSplit(all, heldOutOf(all.length, heldOut), seed)
      : { train: all, dev: yield* texts(dev, yield* rowsOf(dev)) }
  if (splits.train.length === 0) {
    const problems = ["expected at least 2 rows, one of them to be held out, found 1"]
    return yield* new InvalidInput({ what: train, problems })
  }
  return { splits, labelNames: labelNames ?? null }
})

/** Both parts keep the order of the file. */
const heldOutSplit = (all: readonly LabelledText[], count: number, seed: number) => {
  const held = new Set(permutation(stream(seed, "held out"), all.length, 0).subarray(0, count))
  return { train: all.filter((_, i) => !held.has(i)), dev: all.filter((_, i) => held.has(i)) }
}

const placeOf = ({ path, where }: TableRow, column: string) => ({ path, where: `${where}, column ${column}` })

/** A class as its cell writes it; in JSON and parquet also a number or a truth value. */
const nameOf = (row: TableRow, column: string): string => {
  const cell = row.cells.at(-1)
  const isName = ["string", "number", "bigint", "boolean"].includes(typeof cell) && cell !== ""
  if (isName) return String(cell)
  const { path, where } = placeOf(row, column)
  throw badLine(path, where, cell === "" ? "nothing" : quoted(String(cell)), "the name of a class")
}

/** The classes of the train file: numbers in their order, other names in that of their code units. */
const classesOf = (rows: readonly TableRow[], column: string): readonly string[] => {
  const names = [...new Set(rows.map((row) => nameOf(row, column)))]
  const { path } = rows[0]!
  if (names.length < 2) {
    throw badLine(path, `column ${column}`, `only ${quoted(names[0]!)}`, "at least two classes")
  }
  if (names.length > mostClasses) {
    const advice = "Give labels: 'scores' if they are scores, or the classes"
    throw badLine(path, `column ${column}`, `${names.length}`, `at most ${mostClasses} classes`, advice)
  }
  const numeric = names.every((name) => name.trim() !== "" && Number.isFinite(Number(name)))
  return numeric ? names.sort((a, b) => Number(a) - Number(b)) : names.sort()
}
