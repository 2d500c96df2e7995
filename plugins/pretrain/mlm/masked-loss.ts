import * as tf from "@tensorflow/tfjs-core"
import { linear } from "../../../core/tensor/ops/linear.ts"
import { rows } from "../../../core/tensor/ops/rows.ts"
import { softmaxCrossEntropy } from "../../../core/tensor/ops/softmax-cross-entropy.ts"
import { type EncoderModel, encode, type ModelDropout } from "../../model/encoder.ts"
import { clsIndices, pool, predictTokens } from "../../model/output-heads.ts"
import { type OwnShapes, ownName } from "../shared/own-parameters.ts"
import type { Masked } from "./masking.ts"

/** The loss of a masked language model: the mean cross-entropy of the chosen tokens. */
export const maskedLoss = (model: EncoderModel, masked: Masked, dropout: ModelDropout): tf.Scalar => {
  const hidden_PH = encode(model, masked.sequences, { dropout, indices: masked.indices })
  return softmaxCrossEntropy(predictTokens(model, hidden_PH), masked.labels)
}

/** The classifier of next-sentence prediction, which stands on the pooler. */
export const nextSentenceShapes = (hidden: number): OwnShapes => ({
  "nextSentence.weight": [2, hidden],
  "nextSentence.bias": [2],
})

/**
 * The same plus the mean cross-entropy of next-sentence prediction (Devlin et al. 2019, section 3.1), in one pass.
 *
 * @param labels_N 0 where the second half of a pair continues the first, otherwise 1
 */
export const pairLoss = (
  model: EncoderModel,
  masked: Masked,
  labels_N: Int32Array,
  dropout: ModelDropout,
): tf.Scalar => {
  const cls = clsIndices(masked.sequences.offsets)
  // [CLS] is never masked, so an index is of one kind only.
  const indices = Int32Array.from([...cls, ...masked.indices]).sort()
  const isCls = new Set(cls)
  const places = (kind: boolean) => [...indices.keys()].filter((at) => isCls.has(indices[at]!) === kind)
  const hidden_RH = encode(model, masked.sequences, { dropout, indices })
  const words = softmaxCrossEntropy(predictTokens(model, rows(hidden_RH, places(false))), masked.labels)
  const pooled_NH = pool(model, rows(hidden_RH, places(true)))
  const own = <T extends tf.Tensor>(name: string) => model.parameters.get<T>(ownName(`nextSentence.${name}`))
  const logits_N2 = linear(pooled_NH, own<tf.Tensor2D>("weight"), own<tf.Tensor1D>("bias"), "nextSentence")
  return tf.add(words, softmaxCrossEntropy(logits_N2, labels_N))
}
