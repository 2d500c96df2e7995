import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { UnitFailure } from "../../core/api/failure.ts"
import { type ObserveContext, probe } from "../../core/api/probe.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../core/artifacts/run.ts"
import type { ClassifierView } from "../model/view.ts"
import { pooler, representationCost, representationsOf } from "./shared/representations.ts"
import { drawSamples } from "./shared/samples.ts"
import { chooseSteps, Steps } from "./shared/steps.ts"

const Options = type({
  "+": "reject",
  /** The steps to observe; by default only step 0, before the first update. */
  steps: Steps.default(() => ({ at: [0] })),
  /** The number of training examples. */
  samples: "1 <= number.integer <= 4096 = 64",
})
type Options = typeof Options.infer

const PoolerSaturationRow = type({
  "+": "reject",
  step: "number.integer >= 0",
  samples: "number.integer >= 1",
  saturation: "0 <= number <= 1",
  slope: "0 <= number <= 1",
})
/**
 * How far the pooler's tanh is from linear, over all its activations of `samples` examples: `saturation` is the fraction
 * of activations a with |a| > 0.99, `slope` the mean of tanh′ = 1 − a², by which a gradient shrinks on its way to
 * the encoder.
 */
export type PoolerSaturationRow = typeof PoolerSaturationRow.infer

const limit = 0.99

const observe = Effect.fn("pooler-saturation")(function* (
  view: ClassifierView,
  { options }: ObserveContext<Options>,
) {
  const { samples } = options
  const { step, config } = view
  const { activation } = config.layout.classifier
  if (activation !== "tanh") {
    const reason = `expected a classifier that stands on a tanh; that of ${config.layout.title} stands on ${activation}`
    return yield* new UnitFailure({ outcome: "failed", reason, step })
  }
  const { sequences } = yield* drawSamples(view, samples)
  const representations = yield* representationsOf({ model: view, step }, sequences, ["cls"])
  const { values } = representations.find(({ block }) => block === pooler)!
  let saturated = 0
  let slope = 0
  for (const value of values) {
    if (Math.abs(value) > limit) saturated++
    slope += 1 - value * value
  }
  const row: PoolerSaturationRow = {
    step,
    samples,
    saturation: saturated / values.length,
    slope: slope / values.length,
  }
  return [row]
})

const rowBytes = 90

/** Saturation of the tanh on which the classifier stands: in BERT the pooler. */
export const poolerSaturation = probe<ClassifierView, RunEstimate>()({
  name: "pooler-saturation",
  version: 1,
  module: import.meta.url,
  summary: "How many activations of the pooler are saturated, and the mean slope of its tanh",
  options: Options,
  gives: observationsOf<PoolerSaturationRow>(PoolerSaturationRow),
  steps: ({ steps }, run) => chooseSteps(steps, run),
  observe,
  estimate: ({ steps, samples }, run) => {
    const rows = chooseSteps(steps, run).length
    const { flops, calls, memory } = representationCost(run, samples, ["cls"])
    return {
      rows,
      cost: cost({
        flops: rows * flops,
        calls: rows * calls,
        memory,
        disk: rowBytes * rows,
        scratch: rowBytes * rows,
      }),
    }
  },
})
