import type * as tf from "@tensorflow/tfjs-core"
import { softmaxCrossEntropy } from "../../../core/tensor/ops/softmax-cross-entropy.ts"
import { type EncoderModel, encode, type ModelDropout } from "../../model/encoder.ts"
import { predictTokens } from "../../model/output-heads.ts"
import type { Masked } from "./masking.ts"

/** The loss of a masked language model: the mean cross-entropy of the chosen tokens. */
export const maskedLoss = (model: EncoderModel, masked: Masked, dropout: ModelDropout): tf.Scalar => {
  const hidden_PH = encode(model, masked.sequences, { dropout, indices: masked.indices })
  return softmaxCrossEntropy(predictTokens(model, hidden_PH), masked.labels)
}
