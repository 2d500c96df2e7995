import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { FileError, readJson, writeJson } from "../io/files.ts"
import { ArrayFile, readArray, writeArray } from "./arrays.ts"
import type { ArtifactKind } from "./kind.ts"
import {
  countOf,
  readSequences,
  type Sequences,
  SequencesFile,
  selectSequences,
  writeSequences,
} from "./sequences.ts"
import { SpecialTokens } from "./vocabulary.ts"

/** Labelled sequences, on which a classifier is trained or evaluated. */
export interface Split {
  readonly sequences: Sequences
  /** [N], indices into `labelNames` */
  readonly labels: Int32Array
}

/** A classification task: its train and dev splits. */
export interface Examples {
  readonly labelNames: readonly string[]
  readonly train: Split
  readonly dev: Split
  readonly special: SpecialTokens
  readonly vocabularySize: number
}

export interface ExamplesEstimate {
  readonly train: number
  readonly dev: number
  readonly tokensPerExample: number
  readonly labels: number
  readonly vocabularySize: number
}

const SplitFile = type({ "+": "reject", sequences: SequencesFile, labels: ArrayFile })
const ExamplesFile = type({
  "+": "reject",
  labelNames: "string[] >= 2",
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
  classes: number,
  vocabularySize: number,
) {
  const sequences = yield* readSequences(folder, file.sequences, vocabularySize)
  const labels = yield* readArray(folder, file.labels, "i32")
  if (labels.length !== countOf(sequences) || labels.some((label) => label < 0 || label >= classes)) {
    const found = `the labels do not fit ${countOf(sequences)} examples of ${classes} classes`
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
    const file = yield* readJson(join(folder, "examples.json"), ExamplesFile)
    const train = yield* readSplit(folder, file.train, file.labelNames.length, file.vocabularySize)
    const dev = yield* readSplit(folder, file.dev, file.labelNames.length, file.vocabularySize)
    return { ...file, train, dev }
  }),
}

/** The examples at the given indices. */
export const selectExamples = ({ sequences, labels }: Split, indices: Int32Array): Split => ({
  sequences: selectSequences(sequences, indices),
  labels: Int32Array.from(indices, (index) => labels[index]!),
})

/** The most frequent label of a split, which the majority baseline always predicts; of several, the first. */
export const majorityLabelOf = ({ labels }: Split, classes: number): number => {
  const counts = new Array<number>(classes).fill(0)
  for (const label of labels) counts[label]! += 1
  return counts.indexOf(Math.max(...counts))
}
