/** What a training is expected to spend, from the sizes of the model and of the data. */

import { type Cost, cost } from "../../../core/api/cost.ts"
import type { CheckpointEstimate } from "../../../core/artifacts/checkpoint.ts"
import { configOf } from "../../model/config.ts"
import { activationBytes, forwardFlops, trainingFlops, type Workload } from "../../model/cost.ts"
import { countParameters, type OutputHead, parametersOf } from "../../model/parameters.ts"

/** The number of scalars of a model with the given output heads. */
const parameterCount = (sizes: CheckpointEstimate, outputHeads: readonly OutputHead[]): number =>
  countParameters(parametersOf({ ...configOf("base", sizes.vocabularySize, 0), ...sizes }, outputHeads))

export interface TrainingPlan {
  readonly model: CheckpointEstimate
  readonly outputHeads: readonly OutputHead[]
  readonly steps: number
  /** Of one update. */
  readonly update: Workload
  /** What is evaluated without training, over the whole run. */
  readonly evaluation?: Workload
  /** Tokens of the corpus, kept in memory. */
  readonly corpusTokens: number
  /** Copies of the model's weights that are kept until the training's end. */
  readonly kept: number
}

/** The cost of a training with AdamW, whose state is three numbers a parameter beside its gradient. */
export const trainingCost = ({
  model,
  outputHeads,
  steps,
  update,
  evaluation,
  corpusTokens,
  kept,
}: TrainingPlan): Cost => {
  const weights = Float32Array.BYTES_PER_ELEMENT * parameterCount(model, outputHeads)
  const evaluating = evaluation === undefined ? 0 : forwardFlops(model, [], evaluation)
  return cost({
    flops: steps * trainingFlops(model, outputHeads, update) + evaluating,
    memory: 4 * weights + activationBytes(model, update) + 4 * Int32Array.BYTES_PER_ELEMENT * corpusTokens,
    disk: weights,
    // Two saved states stand side by side while the newer one takes the place of the older one.
    scratch: 2 * 3 * weights + kept * weights,
  })
}
