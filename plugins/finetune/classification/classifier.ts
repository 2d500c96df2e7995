/** A BERT classifier (Devlin et al. 2019, section 4): its logits, its loss on a batch, its predictions. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { UnitFailure } from "../../../core/api/failure.ts"
import type { Split } from "../../../core/artifacts/examples.ts"
import { countOf, type Sequences, selectSequences } from "../../../core/artifacts/sequences.ts"
import { softmaxCrossEntropy } from "../../../core/tensor/ops/softmax-cross-entropy.ts"
import { type BertModel, encode, type ModelDropout } from "../../model/bert.ts"
import { classify, clsIndices } from "../../model/output-heads.ts"

/**
 * Logits, [N, classes]; the caller disposes of them.
 *
 * @param dropout for training; nothing is dropped if omitted
 */
export const logitsOf = (model: BertModel, batch: Sequences, dropout?: ModelDropout): tf.Tensor2D =>
  tf.tidy(() =>
    classify(model, encode(model, batch, { dropout, indices: clsIndices(batch.offsets) }), dropout),
  )

/** The mean cross-entropy of the examples at the given indices. */
export const lossOf = (
  model: BertModel,
  split: Split,
  indices: Int32Array,
  dropout?: ModelDropout,
): tf.Scalar =>
  tf.tidy(() =>
    softmaxCrossEntropy(
      logitsOf(model, selectSequences(split.sequences, indices), dropout),
      Int32Array.from(indices, (index) => split.labels[index]!),
    ),
  )

/** Examples per batch in prediction: enough to keep the cores busy, and little memory compared with training. */
const batchSize = 32

/**
 * The class with the largest logit for each sequence, without dropout; the first one in a tie.
 *
 * @param step the number of updates done, for the failure
 * @throws UnitFailure `diverged` if a logit is not finite
 */
export const predict = Effect.fnUntraced(function* (model: BertModel, sequences: Sequences, step: number) {
  const predictions = new Float64Array(countOf(sequences))
  const classes = model.config.labels.length
  for (let start = 0; start < predictions.length; start += batchSize) {
    const length = Math.min(batchSize, predictions.length - start)
    const indices = Int32Array.from({ length }, (_, n) => start + n)
    const logits = tf.tidy(() => logitsOf(model, selectSequences(sequences, indices)).dataSync().slice())
    if (!logits.every(Number.isFinite)) {
      const reason = "the fine-tuned model's logits are not finite"
      return yield* new UnitFailure({ outcome: "diverged", reason, step })
    }
    for (let n = 0; n < length; n++) {
      const row = logits.subarray(n * classes, (n + 1) * classes)
      predictions[start + n] = row.indexOf(Math.max(...row))
    }
    yield* Effect.yieldNow
  }
  return predictions
})
