import { type } from "arktype"
import { Effect } from "effect"
import { type ObserveContext, probe } from "../../core/api/probe.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../core/artifacts/run.ts"
import { selectSequences } from "../../core/artifacts/sequences.ts"
import type { ClassifierView } from "../model/view.ts"
import {
  Poolings,
  representationColumns,
  representationEstimate,
  representationsOf,
  vectorsOf,
} from "./shared/representations.ts"
import { drawSamples } from "./shared/samples.ts"
import { chooseSteps, Steps } from "./shared/steps.ts"

const Options = type({
  "+": "reject",
  /** The steps to observe; by default only step 0, before the first update. */
  steps: Steps.default(() => ({ at: [0] })),
  /** The number of training examples. */
  samples: "1 <= number.integer <= 4096 = 64",
  /** The dropout rate that makes two views of an example differ, whatever the model was trained with. */
  dropout: "0 < number < 1 = 0.1",
  /** What stands for an example. */
  poolings: Poolings,
})
type Options = typeof Options.infer

const AlignmentRow = type({
  "+": "reject",
  step: "number.integer >= 0",
  ...representationColumns,
  samples: "number.integer >= 1",
  alignment: "number >= 0 | null",
})
/**
 * `alignment` is the mean of ‖x̂ − x̂⁺‖² over positive pairs, x̂ = x / ‖x‖ (Wang and Isola 2020, with α = 2), where x and x⁺
 * are two views of the same example, which differ by dropout as in SimCSE: 0 if dropout changes no direction, 2 if the
 * views have nothing in common. Null if a view is zero.
 */
export type AlignmentRow = typeof AlignmentRow.infer

/** ‖a / ‖a‖ − b / ‖b‖‖²; null if one of them is zero. */
const distanceOf = (a: Float32Array, b: Float32Array): number | null => {
  let aa = 0
  let bb = 0
  for (let h = 0; h < a.length; h++) {
    aa += a[h]! * a[h]!
    bb += b[h]! * b[h]!
  }
  if (aa === 0 || bb === 0) return null
  const [normA, normB] = [Math.sqrt(aa), Math.sqrt(bb)]
  // Not 2 − 2 cos, most of whose digits cancel if the views are close.
  let square = 0
  for (let h = 0; h < a.length; h++) square += (a[h]! / normA - b[h]! / normB) ** 2
  return square
}

const observe = Effect.fn("alignment")(function* (
  view: ClassifierView,
  { options }: ObserveContext<Options>,
) {
  const { samples, dropout: rate, poolings } = options
  const { step, stream } = view
  const { sequences } = yield* drawSamples(view, samples)
  const indices = Int32Array.from({ length: 2 * samples }, (_, n) => n % samples)
  const views = selectSequences(sequences, indices)
  // Iteration 0 of the stream is that of the examples.
  const dropout = { rate, stream, iteration: 1 }
  const representations = yield* representationsOf({ model: view, step }, views, poolings, dropout)
  return representations.map(({ block, layer, pooling, values }): AlignmentRow => {
    const vectors = vectorsOf(values, 2 * samples)
    let sum: number | null = 0
    for (let n = 0; n < samples && sum !== null; n++) {
      const distance = distanceOf(vectors[n]!, vectors[samples + n]!)
      sum = distance === null ? null : sum + distance
    }
    return { step, block, layer, pooling, samples, alignment: sum === null ? null : sum / samples }
  })
})

const rowBytes = 120

/** How close together dropout leaves two views of an example, block by block. */
export const alignment = probe<ClassifierView, RunEstimate>()({
  name: "alignment",
  version: 1,
  module: import.meta.url,
  summary: "Alignment of the representations of two dropout views of an example by layer",
  options: Options,
  gives: observationsOf<AlignmentRow>(AlignmentRow),
  steps: ({ steps }, run) => chooseSteps(steps, run),
  observe,
  estimate: ({ steps, samples, poolings }, run) =>
    representationEstimate(run, {
      steps: chooseSteps(steps, run).length,
      sequences: 2 * samples,
      poolings,
      rowBytes,
    }),
})
