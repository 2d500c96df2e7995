import type * as tf from "@tensorflow/tfjs-core"
import { type Sequences, selectSequences } from "../../../../core/artifacts/sequences.ts"
import { rows } from "../../../../core/tensor/ops/rows.ts"
import { type EncoderModel, encode, type ModelDropout } from "../../../model/encoder.ts"
import { clsIndices, pool } from "../../../model/output-heads.ts"

/**
 * Two views of each of N sentences, [N, H] each: one forward pass over 2N sequences, each with its own dropout masks,
 * followed by the head. Without dropout the two views are equal.
 */
export const twoViews = (
  model: EncoderModel,
  sentences: Sequences,
  chosen_N: Int32Array,
  dropout: ModelDropout | undefined,
): [first_NH: tf.Tensor2D, second_NH: tf.Tensor2D] => {
  const batch = selectSequences(sentences, [...chosen_N, ...chosen_N])
  return halves(pool(model, encode(model, batch, { dropout, indices: clsIndices(batch.offsets) })))
}

/** The first and the second half of the rows. */
export const halves = (x_2NH: tf.Tensor2D): [first_NH: tf.Tensor2D, second_NH: tf.Tensor2D] => {
  const count = x_2NH.shape[0] / 2
  const half = (first: number) =>
    rows(
      x_2NH,
      Array.from({ length: count }, (_, n) => first + n),
    )
  return [half(0), half(count)]
}

/** Sentence embeddings for evaluation: the last layer's hidden states of [CLS], without dropout and head, [N · H]. */
export const sentenceEmbeddings = (model: EncoderModel, sentences: Sequences): Float32Array => {
  const embeddings_NH = encode(model, sentences, { indices: clsIndices(sentences.offsets) })
  // A backend may return a view of its own memory, which goes away with the tensor.
  const values = embeddings_NH.dataSync<"float32">().slice()
  embeddings_NH.dispose()
  return values
}
