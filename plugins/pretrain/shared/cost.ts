/** The estimated cost of training, from the sizes of the model and of the data. */

import { type Cost, cost } from "../../../core/api/cost.ts"
import type { CheckpointEstimate } from "../../../core/artifacts/checkpoint.ts"
import { configOf } from "../../model/config.ts"
import {
  activationBytes,
  forwardCalls,
  forwardFlops,
  trainingCalls,
  trainingFlops,
  type Workload,
} from "../../model/cost.ts"
import { countParameters, type OutputHead, parametersOf } from "../../model/parameters.ts"

/** The number of scalars of a model with the given output heads. */
export const parameterCount = (sizes: CheckpointEstimate, outputHeads: readonly OutputHead[]): number =>
  countParameters(parametersOf({ ...configOf("base", sizes.vocabularySize, 0), ...sizes }, outputHeads))

export interface TrainingPlan {
  readonly model: CheckpointEstimate
  readonly outputHeads: readonly OutputHead[]
  /** The shapes of further parameters, which are trained but not kept. */
  readonly more?: readonly (readonly number[])[]
  readonly steps: number
  /** The workload of one update. */
  readonly update: Workload
  /** The workload of all evaluations together, which are forward passes only, and their number. */
  readonly evaluation?: { readonly workload: Workload; readonly passes: number }
  /** Tokens of the corpus, kept in memory. */
  readonly corpusTokens: number
  /** Copies of the model's weights that are kept until training ends. */
  readonly kept: number
}

/** The cost of training with an optimiser that keeps two tensors for each parameter, as AdamW does. */
export const trainingCost = ({
  model,
  outputHeads,
  more = [],
  steps,
  update,
  evaluation,
  corpusTokens,
  kept,
}: TrainingPlan): Cost => {
  const size = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1)
  const own = Float32Array.BYTES_PER_ELEMENT * more.reduce((sum, shape) => sum + size(shape), 0)
  const weights = Float32Array.BYTES_PER_ELEMENT * parameterCount(model, outputHeads)
  const evaluating = evaluation === undefined ? 0 : forwardFlops(model, [], evaluation.workload)
  return cost({
    flops: steps * trainingFlops(model, outputHeads, update) + evaluating,
    calls: steps * trainingCalls(model) + (evaluation?.passes ?? 0) * forwardCalls(model),
    memory:
      4 * (weights + own) + activationBytes(model, update) + 4 * Int32Array.BYTES_PER_ELEMENT * corpusTokens,
    disk: weights,
    // Two saved states exist side by side while the newer one replaces the older one.
    scratch: 2 * 3 * (weights + own) + kept * weights,
  })
}
