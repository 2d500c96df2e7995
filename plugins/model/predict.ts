/** What a model with a classifier predicts for examples. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { UnitFailure } from "../../core/api/failure.ts"
import { countOf, type Sequences, selectSequences } from "../../core/artifacts/sequences.ts"

/** What is predicted from an example's logits: the index of the largest one, of several the first; or the only one. */
export const predictionFrom = {
  classes: (logits_C: Float32Array): number => logits_C.indexOf(Math.max(...logits_C)),
  scores: (logits_C: Float32Array): number => logits_C[0]!,
} as const

/** Examples per batch in prediction: enough to keep the cores busy, and little memory compared with training. */
export const predictionBatch = 32

/**
 * The prediction for each sequence.
 *
 * @param logits [N, C] of a batch, which it does not dispose of
 * @param predictionOf what is predicted from the logits of an example
 * @param step the number of updates done, for the failure
 * @throws UnitFailure `diverged` if a logit is not finite
 */
export const predictAll = Effect.fnUntraced(function* (
  logits: (batch: Sequences) => tf.Tensor2D,
  predictionOf: (logits_C: Float32Array) => number,
  sequences: Sequences,
  step: number,
) {
  const predictions = new Float64Array(countOf(sequences))
  for (let start = 0; start < predictions.length; start += predictionBatch) {
    const length = Math.min(predictionBatch, predictions.length - start)
    const indices = Int32Array.from({ length }, (_, n) => start + n)
    const values = tf.tidy(() => logits(selectSequences(sequences, indices)).dataSync<"float32">().slice())
    if (!values.every(Number.isFinite)) {
      const reason = "the fine-tuned model's logits are not finite"
      return yield* new UnitFailure({ outcome: "diverged", reason, step })
    }
    const outputs = values.length / length
    for (let n = 0; n < length; n++) {
      predictions[start + n] = predictionOf(values.subarray(n * outputs, (n + 1) * outputs))
    }
    yield* Effect.yieldNow
  }
  return predictions
})
