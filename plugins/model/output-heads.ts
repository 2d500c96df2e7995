/**
 * The output heads on top of the encoder. Shapes: T tokens, N sequences, H hidden width, C classes, P masked tokens,
 * V tokens of the vocabulary.
 */
import * as tf from "@tensorflow/tfjs-core"
import { linear } from "../../core/tensor/ops/linear.ts"
import { type BertModel, dense, denseGelu, drop, dropoutSite, type ModelDropout, normalise } from "./bert.ts"

/** The indices of the sequences' first tokens, `[CLS]`, [N]; their hidden states are SimCSE's sentence embeddings. */
export const clsIndices = (offsets: Int32Array): Int32Array => offsets.subarray(0, -1)

/**
 * The pooler: tanh(W h_CLS + b), [N, H]. It is also SimCSE's projection head, so fine-tuning starts from the pooler
 * that further training produced.
 */
export const pool = (model: BertModel, cls_NH: tf.Tensor2D): tf.Tensor2D =>
  tf.tidy(() => tf.tanh(dense(model, "bert.pooler.dense", cls_NH)))

/** The classifier on top of the pooler: logits, [N, C]. */
export const classify = (model: BertModel, cls_NH: tf.Tensor2D, dropout?: ModelDropout): tf.Tensor2D =>
  tf.tidy(() => {
    const pooled_NH = pool(model, cls_NH)
    return dense(model, "classifier", drop(pooled_NH, dropoutSite.classifier(model.config), dropout))
  })

/**
 * The masked language model: logits over the vocabulary from the hidden states of P masked tokens, [P, V]. The
 * decoder's weight is tied to the word embeddings.
 */
export const predictTokens = (model: BertModel, hidden_PH: tf.Tensor2D): tf.Tensor2D =>
  tf.tidy(() => {
    const transform = "cls.predictions.transform"
    const inner_PH = denseGelu(model, `${transform}.dense`, hidden_PH)
    return linear(
      normalise(model, `${transform}.LayerNorm`, inner_PH),
      model.parameters.get("bert.embeddings.word_embeddings.weight"),
      model.parameters.get("cls.predictions.bias"),
      "cls.predictions.decoder",
    )
  })
