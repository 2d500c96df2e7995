/**
 * The BERT encoder (Devlin et al. 2019) over packed sequences, with layer normalisation after each residual sum as in
 * Vaswani et al. 2017. Shapes: T tokens of all sequences together, R of them that are read, N sequences, H hidden width.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Sequences } from "../../core/artifacts/sequences.ts"
import { attention } from "../../core/tensor/ops/attention.ts"
import { type Dropout, dropout } from "../../core/tensor/ops/dropout.ts"
import { embedding } from "../../core/tensor/ops/embedding.ts"
import { layerNorm, residualNorm } from "../../core/tensor/ops/layer-norm.ts"
import { linear, linearGelu } from "../../core/tensor/ops/linear.ts"
import { rows } from "../../core/tensor/ops/rows.ts"
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

/** `linearGelu` with the parameters of that prefix. */
export const denseGelu = ({ parameters }: BertModel, prefix: string, x_TI: tf.Tensor2D): tf.Tensor2D =>
  linearGelu(x_TI, parameters.get(`${prefix}.weight`), parameters.get(`${prefix}.bias`), prefix)

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
  return dropout(x_TH, dropoutAt(rate, site, source))
}

/** LayerNorm(residual + dropout(x)), which ends each half of a layer. */
const addAndNormalise = (
  { parameters, config }: BertModel,
  prefix: string,
  x_RH: tf.Tensor2D,
  residual_RH: tf.Tensor2D,
  site: number,
  source: DropoutSource | undefined,
  places: Int32Array | undefined,
): tf.Tensor2D =>
  residualNorm(
    x_RH,
    residual_RH,
    parameters.get(`${prefix}.weight`),
    parameters.get(`${prefix}.bias`),
    config.layerNormEpsilon,
    {
      name: prefix,
      ...(source && { dropout: dropoutAt(config.hiddenDropout, site, source) }),
      ...(places && { places }),
    },
  )

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
  places: Int32Array | undefined,
): tf.Tensor2D => {
  const { heads, attentionDropout } = model.config
  const prefix = `bert.encoder.layer.${layer}.attention`
  const x_RH = places === undefined ? x_TH : rows(x_TH, places)
  const q_RH = dense(model, `${prefix}.self.query`, x_RH)
  const k_TH = dense(model, `${prefix}.self.key`, x_TH)
  const v_TH = dense(model, `${prefix}.self.value`, x_TH)
  const context_RH = attention(q_RH, k_TH, v_TH, {
    heads,
    offsets,
    ...(places && { places }),
    ...(source && { dropout: dropoutAt(attentionDropout, dropoutSite.attention(layer), source) }),
  })
  const output_RH = dense(model, `${prefix}.output.dense`, context_RH)
  const site = dropoutSite.attentionOutput(layer)
  return addAndNormalise(model, `${prefix}.output.LayerNorm`, output_RH, x_RH, site, source, places)
}

const feedForward = (
  model: BertModel,
  layer: number,
  x_RH: tf.Tensor2D,
  source: DropoutSource | undefined,
  places: Int32Array | undefined,
): tf.Tensor2D => {
  const prefix = `bert.encoder.layer.${layer}`
  const inner_RF = denseGelu(model, `${prefix}.intermediate.dense`, x_RH)
  const output_RH = dense(model, `${prefix}.output.dense`, inner_RF)
  const site = dropoutSite.output(layer)
  return addAndNormalise(model, `${prefix}.output.LayerNorm`, output_RH, x_RH, site, source, places)
}

export interface LayerOptions {
  /** In training; nothing is dropped without it. */
  readonly source?: DropoutSource | undefined
  /**
   * The tokens whose hidden states are read, rising, [R]: no others are computed, and no gradient comes back to them.
   * The numbers are the same as if all were computed. All of them where left out.
   */
  readonly places?: Int32Array | undefined
}

/** One layer of the encoder, numbered from 0: from [ΣT, H] to [R, H]. */
export const encoderLayer = (
  model: BertModel,
  layer: number,
  x_TH: tf.Tensor2D,
  offsets: Int32Array,
  { source, places }: LayerOptions = {},
): tf.Tensor2D =>
  tf.tidy(() => {
    const attended_RH = selfAttention(model, layer, x_TH, offsets, source, places)
    return feedForward(model, layer, attended_RH, source, places)
  })

/**
 * The last layer's hidden states at the places that are read, [R, H].
 *
 * @returns a tensor that is the caller's to free
 * @throws RangeError where an id, a segment, a position or a place has no row in its table, or a sequence is empty
 */
export const encode = (
  model: BertModel,
  batch: Sequences,
  { source, places }: LayerOptions = {},
): tf.Tensor2D =>
  tf.tidy(() => {
    let x_TH = embed(model, batch, source)
    const last = model.config.layers - 1
    for (let layer = 0; layer <= last; layer++) {
      const input_TH = x_TH
      const options = { source, places: layer === last ? places : undefined }
      x_TH = encoderLayer(model, layer, input_TH, batch.offsets, options)
      // In training the tape keeps what the backward pass needs of it.
      input_TH.dispose()
    }
    return x_TH
  })
