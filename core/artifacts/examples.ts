import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { FileError, readJson, writeJson } from "../io/files.ts"
import { ArrayFile, readArray, writeArray } from "./arrays.ts"
import type { ArtifactKind } from "./kind.ts"
import { type MetricName, metricNames, metricProblems } from "./metrics.ts"
import {
  countOf,
  readSequences,
  type Sequences,
  SequencesFile,
  selectSequences,
  writeSequences,
} from "./sequences.ts"
import { SpecialTokens } from "./vocabulary.ts"

/** Labelled sequences, on which a model is trained or evaluated. */
export interface Split {
  readonly sequences: Sequences
  /** [N], indices into `labelNames`, or scores */
  readonly labels: Float64Array
}

/** A task: its train and dev splits. */
export interface Examples {
  /** The classes; null if the labels are scores. */
  readonly labelNames: readonly string[] | null
  /** The task's metrics, at least one; by the first, a run is better than the baseline or has failed. */
  readonly metrics: readonly MetricName[]
  readonly train: Split
  readonly dev: Split
  readonly special: SpecialTokens
  readonly vocabularySize: number
}

export interface ExamplesEstimate {
  readonly train: number
  readonly dev: number
  readonly tokensPerExample: number
  /** How many outputs a model has: the number of classes, or 1 for scores. */
  readonly labels: number
  readonly labelKind: "classes" | "scores"
  readonly metrics: readonly MetricName[]
  readonly vocabularySize: number
}

const SplitFile = type({ "+": "reject", sequences: SequencesFile, labels: ArrayFile })
const ExamplesFile = type({
  "+": "reject",
  labelNames: "string[] >= 2 | null",
  metrics: type
    .enumerated(...metricNames)
    .array()
    .atLeastLength(1),
  train: SplitFile,
  dev: SplitFile,
  special: SpecialTokens,
  vocabularySize: "number.integer > 0",
})

const writeSplit = (folder: string, name: string, split: Split) =>
  Effect.all({
    sequences: writeSequences(folder, name, split.sequences),
    labels: writeArray(folder, `${name}.labels`, split.labels),
  })

const readSplit = Effect.fnUntraced(function* (
  folder: string,
  file: typeof SplitFile.infer,
  labelNames: readonly string[] | null,
  vocabularySize: number,
) {
  const sequences = yield* readSequences(folder, file.sequences, vocabularySize)
  const labels = yield* readArray(folder, file.labels, "f64")
  const fits = (label: number) =>
    labelNames === null ? Number.isFinite(label) : labelNames[label] !== undefined
  if (labels.length !== countOf(sequences) || !labels.every(fits)) {
    const expected = labelNames === null ? "with scores" : `of ${labelNames.length} classes`
    const found = `the labels do not fit ${countOf(sequences)} examples ${expected}`
    return yield* new FileError({ path: join(folder, file.labels.file), doing: "read", found })
  }
  return { sequences, labels }
})

export const Examples: ArtifactKind<"examples", Examples, Examples, ExamplesEstimate> = {
  name: "examples",
  write: Effect.fnUntraced(function* (folder, given) {
    const train = yield* writeSplit(folder, "train", given.train)
    const dev = yield* writeSplit(folder, "dev", given.dev)
    yield* writeJson(join(folder, "examples.json"), { ...given, train, dev })
  }),
  read: Effect.fnUntraced(function* (folder) {
    const path = join(folder, "examples.json")
    const file = yield* readJson(path, ExamplesFile)
    const [problem] = metricProblems(file.metrics, file.labelNames)
    if (problem !== undefined) return yield* new FileError({ path, doing: "read", found: problem })
    const train = yield* readSplit(folder, file.train, file.labelNames, file.vocabularySize)
    const dev = yield* readSplit(folder, file.dev, file.labelNames, file.vocabularySize)
    return { ...file, train, dev }
  }),
}

/** The examples at the given indices. */
export const selectExamples = ({ sequences, labels }: Split, indices: Int32Array): Split => ({
  sequences: selectSequences(sequences, indices),
  labels: Float64Array.from(indices, (index) => labels[index]!),
})

/**
 * What the baseline predicts for every example: the most frequent class of the train split, of several the first; or
 * the mean of its scores.
 */
export const baselineOf = ({ labelNames, train }: Pick<Examples, "labelNames" | "train">): number => {
  if (labelNames === null) return train.labels.reduce((sum, score) => sum + score, 0) / train.labels.length
  const counts = new Array<number>(labelNames.length).fill(0)
  for (const label of train.labels) counts[label]! += 1
  return counts.indexOf(Math.max(...counts))
}
