import * as tf from "@tensorflow/tfjs-core"
import { softmaxCrossEntropy } from "../../../core/tensor/ops/softmax-cross-entropy.ts"
import { unitRows } from "../shared/contrastive/cosines.ts"

/**
 * Supervised SimCSE (Gao, Yao and Chen 2021, equation 5): the mean over N anchors of −log softmax(cos / τ) of the anchor's
 * positive, among the positives and the hard negatives of all anchors.
 *
 * @param h_MH the anchors, their positives, and possibly their hard negatives: M is 2 N or 3 N
 * @param count N
 * @param temperature τ, > 0
 */
export const supervisedLoss = (h_MH: tf.Tensor2D, count: number, temperature: number): tf.Scalar => {
  const unit_MH = unitRows(h_MH)
  const anchors_NH = tf.slice(unit_MH, [0, 0], [count, -1])
  const candidates_KH = tf.slice(unit_MH, [count, 0], [-1, -1])
  const logits_NK: tf.Tensor2D = tf.div(tf.matMul(anchors_NH, candidates_KH, false, true), temperature)
  return softmaxCrossEntropy(
    logits_NK,
    Int32Array.from({ length: count }, (_, i) => i),
  )
}
