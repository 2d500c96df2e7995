import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../../core/api/cost.ts"
import type { InputsEstimate, RunContext } from "../../../../core/api/plugin.ts"
import { Examples, type ExamplesEstimate } from "../../../../core/artifacts/examples.ts"
import { Vocabulary } from "../../../../core/artifacts/vocabulary.ts"
import { hubAddress, hubSources, Source } from "../../../../core/hub/address.ts"
import { InvalidInput } from "../../../../core/io/decode.ts"
import { permutation, stream } from "../../../../core/tensor/stream.ts"
import { countRows } from "../count-rows.ts"
import { encodeSplits, type LabelledText } from "../labelled.ts"
import { meanLength } from "../lengths.ts"
import { checkedRows } from "../limits.ts"
import { examplesOf } from "./examples.ts"
import { filesOf, localFiles } from "./files.ts"
import type { GlueTask } from "./task.ts"

/** The options of every task of GLUE. */
export const GlueOptions = type({
  "+": "reject",
  /**
   * The task's folder, with GLUE's own files, such as `train.tsv` and `dev.tsv`, or with parquet files; a folder with
   * that folder in it, under GLUE's name for the task, such as `SST-2`; or a copy of GLUE on the hub, such as
   * `hf://datasets/nyu-mll/glue`.
   */
  source: Source,
  /** Maximum tokens per example; longer ones are truncated, the longer sentence first. */
  maxLength: "5 <= number.integer <= 512 = 128",
  /**
   * How many training examples are kept, all by default: a sample that is drawn without replacement, the same each
   * time, so that tasks of different sizes can be compared. A smaller sample is part of a larger one.
   */
  "trainExamples?": "1 <= number.integer <= 10000000",
})
type GlueOptions = typeof GlueOptions.infer

const takes = { vocabulary: Vocabulary }

/** What the plugins of GLUE's tasks have in common; each adds its identity and {@link GlueOptions}. */
export const glueTask = (task: GlueTask) => {
  const { labelNames, metrics, dev, lengths } = task
  return {
    stage: "data" as const,
    takes,
    gives: Examples,
    usesBackend: false,
    reads: ({ source }: GlueOptions): readonly string[] => {
      if (hubAddress(source) !== null) return hubSources(source)
      const files = localFiles(task, source)
      return [files.train, files.dev]
    },
    checkFiles: Effect.fn("glue.checkFiles")(function* ({ source, trainExamples = 0 }: GlueOptions) {
      if (hubAddress(source) !== null) return
      const files = yield* filesOf(task, source)
      const { train } = yield* examplesOf(task, files, checkedRows)
      // Lines that are left out are counted too, so this refuses less than reading them all would.
      const { layout } = files
      const count = () =>
        "folder" in layout
          ? countRows(files.train, "parquet")
          : countRows(files.train, "tsv", layout.headless === undefined)
      const available = train.length < checkedRows ? train.length : count()
      yield* checkSample(trainExamples, available)
    }),
    estimate: ({ maxLength, trainExamples }: GlueOptions, inputs: InputsEstimate<typeof takes>) => {
      const train = Math.min(task.train, trainExamples ?? task.train)
      const tokensPerExample = meanLength(lengths, maxLength)
      // Two int32 per token, an offset and a float64 label per example; in memory also the text and its tokens.
      const disk = (train + dev) * (8 * tokensPerExample + 12)
      const artifact: ExamplesEstimate = {
        train,
        dev,
        tokensPerExample,
        labels: labelNames?.length ?? 1,
        labelKind: labelNames === null ? "scores" : "classes",
        metrics,
        vocabularySize: inputs.vocabulary.size,
      }
      return { artifact, cost: cost({ memory: 2.5e8 + 5 * disk, disk }) }
    },
    run: Effect.fn("glue")(function* ({
      options: { source, maxLength, trainExamples },
      inputs: { vocabulary },
    }: RunContext<GlueOptions, typeof takes, never>) {
      const { train, dev } = yield* examplesOf(task, yield* filesOf(task, source))
      const kept = yield* sampleOf(train, trainExamples ?? train.length)
      return yield* encodeSplits(vocabulary, { train: kept, dev }, { labelNames, metrics, maxLength })
    }),
  }
}

const checkSample = (count: number, available: number): Effect.Effect<void, InvalidInput> => {
  if (count <= available) return Effect.void
  const problem = `trainExamples: expected at most ${available}, which is all of the train split, found ${count}`
  return Effect.fail(new InvalidInput({ what: "the sample of the train split", problems: [problem] }))
}

/** In the order of the file. */
const sampleOf = (
  examples: readonly LabelledText[],
  count: number,
): Effect.Effect<readonly LabelledText[], InvalidInput> =>
  Effect.map(checkSample(count, examples.length), () => {
    const drawn = permutation(stream(0, "train examples"), examples.length, 0).subarray(0, count)
    return Array.from(drawn.slice().sort(), (index) => examples[index]!)
  })
