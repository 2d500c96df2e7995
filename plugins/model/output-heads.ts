/**
 * The output heads on top of the encoder. Shapes: T tokens, N sequences, H hidden width, C classes, P masked tokens,
 * V tokens of the vocabulary.
 */
import * as tf from "@tensorflow/tfjs-core"
import { linear } from "../../core/tensor/ops/linear.ts"
import { tanh } from "../../core/tensor/ops/tanh.ts"
import {
  dense,
  denseGelu,
  drop,
  dropoutSite,
  type EncoderModel,
  type ModelDropout,
  normalise,
} from "./encoder.ts"
import { poolerOf } from "./layouts/layout.ts"

/** The indices of the sequences' first tokens, `[CLS]`, [N]; their hidden states are SimCSE's sentence embeddings. */
export const clsIndices = (offsets: Int32Array): Int32Array => offsets.subarray(0, -1)

/**
 * The pooler: tanh(W h_CLS + b), [N, H]. It is also SimCSE's projection head. In BERT the classifier stands on it, so
 * fine-tuning starts from the pooler that further training produced; in other families the classifier has a dense
 * layer of its own, and the pooler serves further training only.
 */
export const pool = (model: EncoderModel, cls_NH: tf.Tensor2D): tf.Tensor2D =>
  tf.tidy(() => tanh(dense(model, poolerOf(model.config.layout), cls_NH)))

/** What the classifier's last product reads, before dropout, [N, H]: in BERT the pooled output. */
export const classifierFeatures = (
  model: EncoderModel,
  cls_NH: tf.Tensor2D,
  dropout?: ModelDropout,
): tf.Tensor2D =>
  tf.tidy(() => {
    const { dense: prefix, activation, dropsInput } = model.config.layout.classifier
    const input_NH = dropsInput ? drop(cls_NH, dropoutSite.classifierInput(model.config), dropout) : cls_NH
    return activations[activation](model, prefix, input_NH)
  })

/** The classifier of the layout: logits, [N, C]. */
export const classify = (model: EncoderModel, cls_NH: tf.Tensor2D, dropout?: ModelDropout): tf.Tensor2D =>
  tf.tidy(() => {
    const features_NH = classifierFeatures(model, cls_NH, dropout)
    const dropped_NH = drop(features_NH, dropoutSite.classifier(model.config), dropout)
    return dense(model, model.config.layout.classifier.output, dropped_NH)
  })

const activations = {
  tanh: (model: EncoderModel, prefix: string, x_NH: tf.Tensor2D) => tanh(dense(model, prefix, x_NH)),
  relu: (model: EncoderModel, prefix: string, x_NH: tf.Tensor2D) => tf.relu(dense(model, prefix, x_NH)),
  gelu: denseGelu,
} as const

/**
 * The masked language model: logits over the vocabulary from the hidden states of P masked tokens, [P, V]. The
 * decoder's weight is tied to the word embeddings.
 *
 * @throws RangeError if the layout has none
 */
export const predictTokens = (model: EncoderModel, hidden_PH: tf.Tensor2D): tf.Tensor2D =>
  tf.tidy(() => {
    const { maskedLanguageModel: names, prefix, title } = model.config.layout
    if (names === undefined) throw new RangeError(`${title} has no masked language model`)
    const inner_PH = denseGelu(model, names.dense, hidden_PH)
    return linear(
      normalise(model, names.norm, inner_PH),
      model.parameters.get(`${prefix}.embeddings.word_embeddings.weight`),
      model.parameters.get(names.bias),
      names.decoder,
    )
  })
