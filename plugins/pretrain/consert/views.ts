import * as tf from "@tensorflow/tfjs-core"
import { type Sequences, selectSequences } from "../../../core/artifacts/sequences.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { type EncoderModel, embed, encodeEmbedded, type ModelDropout } from "../../model/encoder.ts"
import { clsIndices, pool } from "../../model/output-heads.ts"
import { halves } from "../shared/contrastive/views.ts"
import { type Augmentation, augment, type Rates } from "./augmentation.ts"

/** How the two views are made. */
export interface Augmenting {
  readonly first: Augmentation
  readonly second: Augmentation
  readonly rates: Rates
  readonly seed: number
}

/**
 * Two views of each of N sentences, [N, H] each: one forward pass over 2N sequences, whose embeddings are augmented,
 * each sequence with its own draw and, if there is dropout too, its own masks, followed by the head.
 */
export const augmentedViews = (
  model: EncoderModel,
  sentences: Sequences,
  chosen_N: Int32Array,
  dropout: ModelDropout,
  { first, second, rates, seed }: Augmenting,
): [first_NH: tf.Tensor2D, second_NH: tf.Tensor2D] => {
  const batch = selectSequences(sentences, [...chosen_N, ...chosen_N])
  const { hidden } = model.config
  const augmentationOf = (row: number) => (row < chosen_N.length ? first : second)
  const draw = { stream: stream(seed, "augmentation"), iteration: dropout.iteration }
  const { places_T, mask_TH } = augment(batch, hidden, augmentationOf, rates, draw)
  const embedded_TH: tf.Tensor2D = tf.mul(
    embed(model, batch, dropout, places_T),
    tf.tensor2d(mask_TH, [places_T.length, hidden]),
  )
  const forward = { dropout, indices: clsIndices(batch.offsets) }
  return halves(pool(model, encodeEmbedded(model, embedded_TH, batch.offsets, forward)))
}
