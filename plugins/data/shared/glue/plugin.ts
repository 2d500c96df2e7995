import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../../core/api/cost.ts"
import type { InputsEstimate, RunContext } from "../../../../core/api/plugin.ts"
import { Examples, type ExamplesEstimate } from "../../../../core/artifacts/examples.ts"
import { Vocabulary } from "../../../../core/artifacts/vocabulary.ts"
import { hubAddress, Source } from "../../../../core/hub/address.ts"
import { encodeSplits } from "../labelled.ts"
import { meanLength } from "../lengths.ts"
import { examplesOf } from "./examples.ts"
import { filesOf, localFiles } from "./files.ts"
import type { GlueTask } from "./task.ts"

/** The options of every task of GLUE. */
export const GlueOptions = type({
  "+": "reject",
  /**
   * The task's folder, with GLUE's own files, such as `train.tsv` and `dev.tsv`, or with parquet files; or a copy of
   * GLUE on the hub, such as `hf://datasets/nyu-mll/glue`.
   */
  source: Source,
  /** Maximum tokens per example; longer ones are truncated, the longer sentence first. */
  maxLength: "5 <= number.integer <= 512 = 128",
})
type GlueOptions = typeof GlueOptions.infer

const takes = { vocabulary: Vocabulary }

/** What the plugins of GLUE's tasks have in common; each adds its identity and {@link GlueOptions}. */
export const glueTask = (task: GlueTask) => {
  const { labelNames, metrics, train, dev, lengths } = task
  return {
    stage: "data" as const,
    takes,
    gives: Examples,
    usesBackend: false,
    reads: ({ source }: GlueOptions): readonly string[] => {
      if (hubAddress(source) !== null) return []
      const files = localFiles(task, source)
      return [files.train, files.dev]
    },
    estimate: ({ maxLength }: GlueOptions, inputs: InputsEstimate<typeof takes>) => {
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
      options: { source, maxLength },
      inputs: { vocabulary },
    }: RunContext<GlueOptions, typeof takes, never>) {
      const texts = yield* examplesOf(task, yield* filesOf(task, source))
      return yield* encodeSplits(vocabulary, texts, { labelNames, metrics, maxLength })
    }),
  }
}
