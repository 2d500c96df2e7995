/** What is put on top of the encoder. Shapes: T tokens, N sequences, H hidden width, C classes, P positions, V pieces. */
import * as tf from "@tensorflow/tfjs-core"
import { gelu } from "../../core/tensor/ops/gelu.ts"
import { linear } from "../../core/tensor/ops/linear.ts"
import { rows } from "../../core/tensor/ops/rows.ts"
import { type BertModel, type DropoutSource, dense, drop, dropoutSite, normalise } from "./bert.ts"

/** The hidden states of the sequences' first tokens, `[CLS]`: SimCSE's embedding of a sentence, [N, H]. */
export const firstTokens = (hidden_TH: tf.Tensor2D, offsets: Int32Array): tf.Tensor2D =>
  rows(hidden_TH, offsets.subarray(0, -1))

/**
 * The pooler: tanh(W h_CLS + b), [N, H]. It is SimCSE's projection head as well, so that what further training made of
 * the head is the pooler that fine-tuning starts from.
 */
export const pool = (model: BertModel, hidden_TH: tf.Tensor2D, offsets: Int32Array): tf.Tensor2D =>
  tf.tidy(() => tf.tanh(dense(model, "bert.pooler.dense", firstTokens(hidden_TH, offsets))))

/** The classifier on the pooled sequences: logits, [N, C]. */
export const classify = (
  model: BertModel,
  hidden_TH: tf.Tensor2D,
  offsets: Int32Array,
  source?: DropoutSource,
): tf.Tensor2D =>
  tf.tidy(() => {
    const { config } = model
    const rate = config.classifierDropout ?? config.hiddenDropout
    const pooled_NH = pool(model, hidden_TH, offsets)
    return dense(model, "classifier", drop(pooled_NH, rate, dropoutSite.classifier(config), source))
  })

/**
 * The masked language model: logits over the vocabulary at the given rows of the hidden states, [P, V]. The decoder's
 * weight is the table of the word embeddings.
 */
export const predictTokens = (
  model: BertModel,
  hidden_TH: tf.Tensor2D,
  positions_P: ArrayLike<number>,
): tf.Tensor2D =>
  tf.tidy(() => {
    const transform = "cls.predictions.transform"
    const inner_PH = gelu(dense(model, `${transform}.dense`, rows(hidden_TH, positions_P)))
    return linear(
      normalise(model, `${transform}.LayerNorm`, inner_PH),
      model.parameters.get("bert.embeddings.word_embeddings.weight"),
      model.parameters.get("cls.predictions.bias"),
      "cls.predictions.decoder",
    )
  })
