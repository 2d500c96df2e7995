import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { baselineOf, Examples } from "../../core/artifacts/examples.ts"
import { Run } from "../../core/artifacts/run.ts"

const Options = type({
  "+": "reject",
  /** Determines everything that is drawn at random. */
  seed: "0 <= number.integer <= 4294967295 = 0",
})

const takes = { data: Examples }

/** The baseline: a run without updates, which always predicts the train split's most frequent class or mean score. */
export const templateFinetune = plugin({
  name: "template-finetune",
  stage: "finetune",
  version: 1,
  module: import.meta.url,
  summary: "Predicts the most frequent class, or the mean score, for every example",
  options: Options,
  takes,
  gives: Run,
  usesBackend: false,
  estimate: (_options, { data }) => ({
    artifact: {
      steps: 0,
      warmupSteps: 0,
      batchSize: 0,
      tokensPerExample: data.tokensPerExample,
      parameters: 0,
      layers: 0,
      hidden: 0,
      intermediate: 0,
      heads: 0,
    },
    cost: cost({ flops: data.train, disk: 16 * data.dev }),
  }),
  run: Effect.fn("template-finetune")(function* ({
    options: { seed },
    inputs: { data },
  }: RunContext<typeof Options.infer, typeof takes, unknown>) {
    const baseline = baselineOf(data)
    return {
      seed,
      steps: 0,
      warmupSteps: 0,
      loss: new Float64Array(),
      learningRate: new Float64Array(),
      gradientNorm: new Float64Array(),
      predictions: data.dev.labels.map(() => baseline),
      labels: data.dev.labels,
      metrics: data.metrics,
      baseline,
    }
  }),
})
