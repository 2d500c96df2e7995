import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { UnitFailure } from "../../core/api/failure.ts"
import { type ObserveContext, probe } from "../../core/api/probe.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../core/artifacts/run.ts"
import { layerOf } from "../model/parameters.ts"
import type { ClassifierView } from "../model/view.ts"
import { noiseOf } from "./gradient-noise/noise.ts"
import { blockGrams, parameterGrams } from "./shared/gram/block-grams.ts"
import { observationCost } from "./shared/gram/cost.ts"
import { addTo } from "./shared/gram/gram.ts"
import { drawLabelled } from "./shared/likelihood.ts"
import { chooseSteps, Steps } from "./shared/steps.ts"

const Options = type({
  "+": "reject",
  /** The steps to observe; by default only step 0, before the first update. */
  steps: Steps.default(() => ({ at: [0] })),
  /** N, the number of training examples: with few of them ‖G‖² is lost in the noise. */
  samples: "2 <= number.integer <= 256 = 64",
})
type Options = typeof Options.infer

const GradientNoiseRow = type({
  "+": "reject",
  step: "number.integer >= 0",
  /** embeddings, layer.0 and so on, pooler, classifier; encoder for all layers, all for the whole model */
  block: "string",
  layer: "number.integer >= 0 | null",
  samples: "number.integer >= 2",
  gradientTrace: "number",
  gradientSquare: "number",
  noiseScale: "number >= 0 | null",
})
/**
 * The noise of a block's gradient at a step, from `samples` per-sample gradients of the loss without dropout.
 *
 * `gradientTrace` is an unbiased estimate of tr Σ, the summed variances of a per-sample gradient, and `gradientSquare`
 * one of ‖G‖², the square of the true gradient, which noise can make negative. `noiseScale` is the simple noise scale
 * tr Σ / ‖G‖² in examples (McCandlish et al. 2018): batches much smaller than it are mostly noise. Null unless the
 * estimate of ‖G‖² is positive; its means over seeds are those of ratios, so compare the two parts as well.
 */
export type GradientNoiseRow = typeof GradientNoiseRow.infer

/** The whole model. */
const all = "all"

const observe = Effect.fn("gradient-noise")(function* (
  view: ClassifierView,
  { options: { samples } }: ObserveContext<Options>,
) {
  const { step, blocks } = view
  const batch = yield* drawLabelled(view, samples)
  const grams = blockGrams(blocks, parameterGrams(view, blocks, batch))
  const whole = new Float64Array(samples ** 2)
  for (const block of blocks.keys()) addTo(whole, grams.get(block)!)
  const rows = [...grams, [all, whole] as const].map(([block, gram]): GradientNoiseRow => {
    const { trace, square } = noiseOf(gram, samples)
    return {
      step,
      block,
      layer: layerOf(block) ?? null,
      samples,
      gradientTrace: trace,
      gradientSquare: square,
      noiseScale: square > 0 ? Math.max(0, trace) / square : null,
    }
  })
  const unsound = rows.filter(({ gradientTrace }) => !Number.isFinite(gradientTrace))
  if (unsound.length > 0) {
    const reason = `the gradients of ${unsound.map(({ block }) => block).join(", ")} are not finite`
    return yield* new UnitFailure({ outcome: "diverged", reason, step })
  }
  return rows
})

const rowBytes = 190

/** The gradient noise scale by block: about how many examples a batch can hold before more of them stop helping. */
export const gradientNoise = probe<ClassifierView, RunEstimate>()({
  name: "gradient-noise",
  version: 1,
  module: import.meta.url,
  summary: "Gradient noise scale by layer and of the whole model, from per-sample gradients",
  options: Options,
  gives: observationsOf<GradientNoiseRow>(GradientNoiseRow),
  steps: ({ steps }, run) => chooseSteps(steps, run),
  observe,
  estimate: ({ steps, samples }, run) => {
    const observations = chooseSteps(steps, run).length
    // In BERT: embeddings, pooler, classifier; encoder and all.
    const rows = observations * (run.layers + 5)
    const { flops, calls, memory } = observationCost(run, {
      samples,
      layers: true,
      labels: "true",
      selfCheck: false,
      blocks: run.layers + 3,
    })
    return {
      rows,
      cost: cost({
        flops: observations * flops,
        calls: observations * calls,
        memory,
        disk: rowBytes * rows,
        scratch: rowBytes * rows,
      }),
    }
  },
})
