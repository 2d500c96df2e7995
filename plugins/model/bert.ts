/**
 * The BERT encoder (Devlin et al. 2019) over packed sequences, with layer normalisation after each residual sum as in
 * Vaswani et al. 2017. Shapes: T tokens of all sequences together, N sequences, H hidden width.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Sequences } from "../../core/artifacts/sequences.ts"
import { attention } from "../../core/tensor/ops/attention.ts"
import { type Dropout, dropout } from "../../core/tensor/ops/dropout.ts"
import { embedding } from "../../core/tensor/ops/embedding.ts"
import { gelu } from "../../core/tensor/ops/gelu.ts"
import { layerNorm } from "../../core/tensor/ops/layer-norm.ts"
import { linear } from "../../core/tensor/ops/linear.ts"
import type { Parameters } from "../../core/tensor/parameters.ts"
import type { Stream } from "../../core/tensor/stream.ts"
import type { BertConfig } from "./config.ts"

/** A model: its configuration and parameters, under Hugging Face's names. */
export interface BertModel {
  readonly config: BertConfig
  readonly parameters: Parameters
}

/** In training: where the dropout masks of this step are drawn from. Without it nothing is dropped. */
export interface DropoutSource {
  readonly stream: Stream
  readonly step: number
}

/** Every dropout of the model has a site of its own in the stream, so no two share a mask. */
export const dropoutSite = {
  embeddings: 0,
  attention: (layer: number) => 3 * layer + 1,
  attentionOutput: (layer: number) => 3 * layer + 2,
  output: (layer: number) => 3 * layer + 3,
  classifier: (config: BertConfig) => 3 * config.layers + 1,
}

/** `linear` with the parameters of that prefix, by which a tap hears of it too. */
export const dense = ({ parameters }: BertModel, prefix: string, x_TI: tf.Tensor2D): tf.Tensor2D =>
  linear(x_TI, parameters.get(`${prefix}.weight`), parameters.get(`${prefix}.bias`), prefix)

export const normalise = ({ parameters, config }: BertModel, prefix: string, x_TH: tf.Tensor2D) =>
  layerNorm(
    x_TH,
    parameters.get(`${prefix}.weight`),
    parameters.get(`${prefix}.bias`),
    config.layerNormEpsilon,
    prefix,
  )

const dropoutAt = (rate: number, site: number, source: DropoutSource): Dropout => ({
  rate,
  draw: { ...source, site },
})

export const drop = (x_TH: tf.Tensor2D, rate: number, site: number, source: DropoutSource | undefined) => {
  if (source === undefined) return x_TH
  return dropout(x_TH, rate, dropoutAt(rate, site, source).draw)
}

/** Each token's place in its own sequence. */
const positionsOf = ({ ids, offsets }: Sequences): Int32Array => {
  const positions_T = new Int32Array(ids.length)
  for (let n = 0; n + 1 < offsets.length; n++) {
    for (let t = offsets[n]!; t < offsets[n + 1]!; t++) positions_T[t] = t - offsets[n]!
  }
  return positions_T
}

/** The sum of a token's three embeddings, normalised: what the first layer sees, [ΣT, H]. */
export const embed = (model: BertModel, batch: Sequences, source?: DropoutSource): tf.Tensor2D => {
  const lookUp = (name: string, ids_T: Int32Array) =>
    embedding(model.parameters.get(`${name}.weight`), ids_T, name)
  const words_TH = lookUp("bert.embeddings.word_embeddings", batch.ids)
  const positions_TH = lookUp("bert.embeddings.position_embeddings", positionsOf(batch))
  const segments_TH = lookUp("bert.embeddings.token_type_embeddings", batch.types)
  const sum_TH: tf.Tensor2D = tf.add(tf.add(words_TH, segments_TH), positions_TH)
  const x_TH = normalise(model, "bert.embeddings.LayerNorm", sum_TH)
  return drop(x_TH, model.config.hiddenDropout, dropoutSite.embeddings, source)
}

const selfAttention = (
  model: BertModel,
  layer: number,
  x_TH: tf.Tensor2D,
  offsets: Int32Array,
  source: DropoutSource | undefined,
): tf.Tensor2D => {
  const { heads, attentionDropout, hiddenDropout } = model.config
  const prefix = `bert.encoder.layer.${layer}.attention`
  const q_TH = dense(model, `${prefix}.self.query`, x_TH)
  const k_TH = dense(model, `${prefix}.self.key`, x_TH)
  const v_TH = dense(model, `${prefix}.self.value`, x_TH)
  const context_TH = attention(q_TH, k_TH, v_TH, {
    heads,
    offsets,
    ...(source && { dropout: dropoutAt(attentionDropout, dropoutSite.attention(layer), source) }),
  })
  const output_TH = dense(model, `${prefix}.output.dense`, context_TH)
  const dropped_TH = drop(output_TH, hiddenDropout, dropoutSite.attentionOutput(layer), source)
  return normalise(model, `${prefix}.output.LayerNorm`, tf.add(x_TH, dropped_TH))
}

const feedForward = (
  model: BertModel,
  layer: number,
  x_TH: tf.Tensor2D,
  source: DropoutSource | undefined,
): tf.Tensor2D => {
  const prefix = `bert.encoder.layer.${layer}`
  const inner_TF = gelu(dense(model, `${prefix}.intermediate.dense`, x_TH))
  const output_TH = dense(model, `${prefix}.output.dense`, inner_TF)
  const dropped_TH = drop(output_TH, model.config.hiddenDropout, dropoutSite.output(layer), source)
  return normalise(model, `${prefix}.output.LayerNorm`, tf.add(x_TH, dropped_TH))
}

/** One layer of the encoder, numbered from 0: from [ΣT, H] to [ΣT, H]. */
export const encoderLayer = (
  model: BertModel,
  layer: number,
  x_TH: tf.Tensor2D,
  offsets: Int32Array,
  source?: DropoutSource,
): tf.Tensor2D =>
  tf.tidy(() => feedForward(model, layer, selfAttention(model, layer, x_TH, offsets, source), source))

/**
 * The last layer's hidden states, [ΣT, H].
 *
 * @param source where dropout is drawn from, in training; nothing is dropped without it
 * @returns a tensor that is the caller's to free
 * @throws RangeError where an id, a segment or a position has no row in its table, or a sequence is empty
 */
export const encode = (model: BertModel, batch: Sequences, source?: DropoutSource): tf.Tensor2D =>
  tf.tidy(() => {
    let x_TH = embed(model, batch, source)
    for (let layer = 0; layer < model.config.layers; layer++) {
      const input_TH = x_TH
      x_TH = encoderLayer(model, layer, input_TH, batch.offsets, source)
      // In training the tape keeps what the backward pass needs of it.
      input_TH.dispose()
    }
    return x_TH
  })
