/**
 * What happens inside a model, without dropout unless it is given. Shapes: T tokens of all sequences together, H hidden width, L tokens of
 * one sequence, d = H / heads.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Sequences } from "../../core/artifacts/sequences.ts"
import { rows } from "../../core/tensor/ops/rows.ts"
import { dense, type EncoderModel, embed, encoderLayer, type ModelDropout } from "./encoder.ts"

const integerWithin = (what: string, found: number, last: number): void => {
  if (Number.isInteger(found) && found >= 0 && found <= last) return
  throw new RangeError(`expected a ${what} from 0 to ${last}, found ${found}`)
}

/**
 * The hidden states after `depth` layers, [T, H]: 0 is the output of the embeddings, l + 1 that of layer l.
 *
 * @returns a tensor that the caller disposes of
 * @throws RangeError for a depth that the model does not have
 */
export const hiddenStates = (model: EncoderModel, batch: Sequences, depth: number): tf.Tensor2D => {
  integerWithin("depth", depth, model.config.layers)
  return tf.tidy(() => through(model, batch, depth))
}

/**
 * The hidden states after every depth, from one forward pass: 0 first, then 1 and so on.
 *
 * @param read called with each of them, [T, H], which live only during the call
 */
export const readHiddenStates = (
  model: EncoderModel,
  batch: Sequences,
  read: (hidden_TH: tf.Tensor2D, depth: number) => void,
  dropout?: ModelDropout,
): void => {
  tf.tidy(() => {
    through(model, batch, model.config.layers, { read, dropout })
  })
}

/** Runs `depth` layers, within a tidy. */
const through = (
  model: EncoderModel,
  batch: Sequences,
  depth: number,
  {
    read,
    dropout,
  }: {
    readonly read?: (hidden_TH: tf.Tensor2D, depth: number) => void
    readonly dropout?: ModelDropout | undefined
  } = {},
): tf.Tensor2D => {
  let hidden_TH = embed(model, batch, dropout)
  read?.(hidden_TH, 0)
  for (let layer = 0; layer < depth; layer++) {
    const input_TH = hidden_TH
    hidden_TH = encoderLayer(model, layer, input_TH, batch.offsets, { dropout })
    // Under a tape, the tape keeps what the backward pass needs of it.
    input_TH.dispose()
    read?.(hidden_TH, layer + 1)
  }
  return hidden_TH
}

/**
 * The attention probabilities of a layer (from 0): for each sequence [heads, L, L], with a row for each query.
 *
 * @returns tensors that the caller disposes of
 * @throws RangeError for a layer that the model does not have
 */
export const attentionProbabilities = (
  model: EncoderModel,
  batch: Sequences,
  layer: number,
): readonly tf.Tensor3D[] => {
  const { heads, hidden, layers, layout } = model.config
  integerWithin("layer", layer, layers - 1)
  return tf.tidy(() => {
    const hidden_TH = hiddenStates(model, batch, layer)
    const names = layout.layer(layer)
    const query_TH = dense(model, names.query, hidden_TH)
    const key_TH = dense(model, names.key, hidden_TH)
    const scale = 1 / Math.sqrt(hidden / heads)
    return Array.from({ length: batch.offsets.length - 1 }, (_, n) => {
      const first = batch.offsets[n]!
      const length = batch.offsets[n + 1]! - first
      const tokens = Int32Array.from({ length }, (_, t) => first + t)
      const split = (x_TH: tf.Tensor2D, axes: number[]) =>
        tf.transpose(tf.reshape(rows(x_TH, tokens), [length, heads, hidden / heads]), axes)
      const scores_ALL = tf.matMul<tf.Tensor3D>(split(query_TH, [1, 0, 2]), split(key_TH, [1, 2, 0]))
      return tf.softmax<tf.Tensor3D>(tf.mul(scores_ALL, scale))
    })
  })
}
