/** What a training is expected to spend, from the sizes of the model and of the data. */

import { type Cost, cost } from "../../../core/api/cost.ts"
import type { CheckpointEstimate } from "../../../core/artifacts/checkpoint.ts"
import { configOf } from "../../model/config.ts"
import { forwardFlops, trainingFlops } from "../../model/cost.ts"
import { countParameters, type OutputHead, parametersOf } from "../../model/parameters.ts"

const bytesPerNumber = 4

/** Sequences of about the same length, and the positions at which something is predicted. */
export interface Workload {
  readonly sequences: number
  readonly tokensPerSequence: number
  readonly predictions: number
}

/** The number of scalars of a model with the given heads. */
const parameterCount = (sizes: CheckpointEstimate, heads: readonly OutputHead[]): number =>
  countParameters(parametersOf({ ...configOf("base", sizes.vocabularySize, 0), ...sizes }, heads))

const inPasses = ({ sequences, tokensPerSequence, predictions }: Workload) => ({
  sequences,
  tokens: sequences * tokensPerSequence,
  attended: sequences * tokensPerSequence ** 2,
  predictions,
})

/**
 * Bytes that the forward pass of one update keeps for the backward pass, as measured with the wasm backend. A layer,
 * each token: 14 times the hidden width, 3 times that of the feed-forward network, and 2 rows of attention a head
 * (probabilities and mask); the embeddings 5 hidden widths. Logits of a masked-language model are there about 4 times.
 */
const activationBytes = (
  { layers, hidden, intermediate, heads, vocabularySize }: CheckpointEstimate,
  { sequences, tokensPerSequence, predictions }: Workload,
) => {
  const layer = 14 * hidden + 3 * intermediate + 2 * heads * tokensPerSequence
  const tokens = sequences * tokensPerSequence
  return bytesPerNumber * (tokens * (layers * layer + 5 * hidden) + 4 * predictions * vocabularySize)
}

export interface TrainingPlan {
  readonly model: CheckpointEstimate
  readonly heads: readonly OutputHead[]
  readonly steps: number
  /** One update. */
  readonly step: Workload
  /** What is looked at without training, over the whole run. */
  readonly evaluation?: Workload
  /** Tokens of the corpus, kept in memory. */
  readonly corpusTokens: number
  /** Copies of the model's weights that are kept until the training's end. */
  readonly kept: number
}

/** The cost of a training with AdamW, whose state is three numbers a parameter beside its gradient. */
export const trainingCost = ({
  model,
  heads,
  steps,
  step,
  evaluation,
  corpusTokens,
  kept,
}: TrainingPlan): Cost => {
  const weights = bytesPerNumber * parameterCount(model, heads)
  const evaluating = evaluation === undefined ? 0 : forwardFlops(model, [], inPasses(evaluation))
  return cost({
    flops: steps * trainingFlops(model, heads, inPasses(step)) + evaluating,
    memory: 4 * weights + activationBytes(model, step) + 4 * bytesPerNumber * corpusTokens,
    disk: weights,
    // Two saved states stand side by side while the newer one takes the place of the older one.
    scratch: 2 * 3 * weights + kept * weights,
  })
}
