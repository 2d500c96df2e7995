/**
 * The encoder of BERT (Devlin et al. 2019) and of the families with the same layers, over packed sequences, with layer
 * normalisation after each residual sum as in Vaswani et al. 2017. Shapes: T tokens of all sequences together, R of
 * them that are read, N sequences, E width of the embeddings, H hidden width, F width of the feed-forward networks.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Sequences } from "../../core/artifacts/sequences.ts"
import { attention } from "../../core/tensor/ops/attention.ts"
import { dropout } from "../../core/tensor/ops/dropout.ts"
import { embedding } from "../../core/tensor/ops/embedding.ts"
import { feedForward, type LinearLayer } from "../../core/tensor/ops/feed-forward.ts"
import { layerNorm, residualNorm } from "../../core/tensor/ops/layer-norm.ts"
import { linear, linearGelu } from "../../core/tensor/ops/linear.ts"
import { rows } from "../../core/tensor/ops/rows.ts"
import type { Parameters, ReadonlyParameters } from "../../core/tensor/parameters.ts"
import type { Dropout } from "../../core/tensor/stream.ts"
import type { EncoderConfig } from "./config.ts"
import { projectionOf } from "./layouts/layout.ts"

/** A model to compute with: its configuration and parameters, under Hugging Face's names. */
export interface EncoderModel {
  readonly config: EncoderConfig
  readonly parameters: ReadonlyParameters
}

/** A model whose owner may train it, and disposes of it. */
export interface TrainableModel extends EncoderModel {
  readonly parameters: Parameters
}

/** Dropout throughout a model in one update (`iteration`): each site draws its own masks from the stream. */
export type ModelDropout = Omit<Dropout, "site">

/** The options of a forward pass. */
export interface Forward {
  /** For training; nothing is dropped if omitted. */
  readonly dropout?: ModelDropout | undefined
  /**
   * The tokens whose hidden states are read, ascending, [R]; all by default. No others are computed, and no gradient
   * flows back to them. The values are the same as if all were computed.
   */
  readonly indices?: Int32Array | undefined
}

/** Each dropout of the model has its own site in the stream, so no two share a mask. */
export const dropoutSite = {
  embeddings: 0,
  attention: (layer: number) => 3 * layer + 1,
  attentionOutput: (layer: number) => 3 * layer + 2,
  output: (layer: number) => 3 * layer + 3,
  classifier: (config: EncoderConfig) => 3 * config.layers + 1,
  classifierInput: (config: EncoderConfig) => 3 * config.layers + 2,
}

/** `linear` with the parameters of that prefix, under which it also reports to a tap. */
export const dense = ({ parameters }: EncoderModel, prefix: string, x_TI: tf.Tensor2D): tf.Tensor2D =>
  linear(x_TI, parameters.get(`${prefix}.weight`), parameters.get(`${prefix}.bias`), prefix)

const linearLayerOf = ({ parameters }: EncoderModel, prefix: string): LinearLayer => ({
  weight_OI: parameters.get(`${prefix}.weight`),
  bias_O: parameters.get(`${prefix}.bias`),
  name: prefix,
})

/** `linearGelu` with the parameters of that prefix. */
export const denseGelu = ({ parameters }: EncoderModel, prefix: string, x_TI: tf.Tensor2D): tf.Tensor2D =>
  linearGelu(x_TI, parameters.get(`${prefix}.weight`), parameters.get(`${prefix}.bias`), prefix)

export const normalise = ({ parameters, config }: EncoderModel, prefix: string, x_TH: tf.Tensor2D) =>
  layerNorm(
    x_TH,
    parameters.get(`${prefix}.weight`),
    parameters.get(`${prefix}.bias`),
    config.layerNormEpsilon,
    prefix,
  )

/** Drops elements of x at a site of the model, in training. */
export const drop = (x_TH: tf.Tensor2D, site: number, modelDropout: ModelDropout | undefined): tf.Tensor2D =>
  modelDropout === undefined ? x_TH : dropout(x_TH, { ...modelDropout, site })

/** One layer in one forward pass. */
interface LayerPass extends Forward {
  readonly model: EncoderModel
  /** From 0. */
  readonly layer: number
  /** [N + 1]; sequence n has the rows offsets[n] … offsets[n + 1] − 1. */
  readonly offsets: Int32Array
}

/** LayerNorm(residual + dropout(x)), which ends each half of a layer; without a site nothing is dropped. */
const addAndNormalise = (
  { model: { parameters, config }, dropout, indices }: LayerPass,
  { prefix, site }: { readonly prefix: string; readonly site: number | undefined },
  x_RH: tf.Tensor2D,
  residual_RH: tf.Tensor2D,
): tf.Tensor2D =>
  residualNorm(
    x_RH,
    residual_RH,
    parameters.get(`${prefix}.weight`),
    parameters.get(`${prefix}.bias`),
    config.layerNormEpsilon,
    {
      name: prefix,
      ...(dropout && site !== undefined && { dropout: { ...dropout, site } }),
      ...(indices && { indices }),
    },
  )

/** Each token's place in its own sequence, from 0, [ΣT]. */
export const placesOf = ({ ids, offsets }: Sequences): Int32Array => {
  const places_T = new Int32Array(ids.length)
  for (let n = 0; n + 1 < offsets.length; n++) {
    for (let t = offsets[n]!; t < offsets[n + 1]!; t++) places_T[t] = t - offsets[n]!
  }
  return places_T
}

/**
 * The sum of a token's embeddings, normalised, and projected if E ≠ H: the input of the first layer, [ΣT, H].
 *
 * @param places_T the place in its sequence, from 0, whose position embedding each token gets
 */
export const embed = (
  model: EncoderModel,
  batch: Sequences,
  dropout?: ModelDropout,
  places_T = placesOf(batch),
): tf.Tensor2D => {
  const { config } = model
  const { layout } = config
  const prefix = `${layout.prefix}.embeddings`
  const lookUp = (name: string, ids_T: Int32Array) =>
    embedding(model.parameters.get(`${prefix}.${name}.weight`), ids_T, `${prefix}.${name}`)
  const words_TE = lookUp("word_embeddings", batch.ids)
  const first = layout.firstPosition(config)
  const positions_TE = lookUp(
    "position_embeddings",
    places_T.map((place) => first + place),
  )
  const typed_TE: tf.Tensor2D = layout.tokenTypes
    ? tf.add(words_TE, lookUp("token_type_embeddings", batch.tokenTypeIds))
    : words_TE
  const normalised_TE = normalise(model, `${prefix}.LayerNorm`, tf.add(typed_TE, positions_TE))
  const dropped_TE = drop(normalised_TE, dropoutSite.embeddings, dropout)
  return config.embeddingSize === null ? dropped_TE : dense(model, projectionOf(layout), dropped_TE)
}

const selfAttention = (pass: LayerPass, x_TH: tf.Tensor2D): tf.Tensor2D => {
  const { model, layer, offsets, dropout, indices } = pass
  const { dropsAttentionOutput, layer: namesOf } = model.config.layout
  const names = namesOf(layer)
  const x_RH = indices === undefined ? x_TH : rows(x_TH, indices)
  const q_RH = dense(model, names.query, x_RH)
  const k_TH = dense(model, names.key, x_TH)
  const v_TH = dense(model, names.value, x_TH)
  const context_RH = attention(q_RH, k_TH, v_TH, {
    heads: model.config.heads,
    offsets,
    ...(indices && { queryIndices: indices }),
    ...(dropout && { dropout: { ...dropout, site: dropoutSite.attention(layer) } }),
  })
  const output_RH = dense(model, names.attentionOutput, context_RH)
  const site = dropsAttentionOutput ? dropoutSite.attentionOutput(layer) : undefined
  return addAndNormalise(pass, { prefix: names.attentionNorm, site }, output_RH, x_RH)
}

const feedForwardNetwork = (pass: LayerPass, x_RH: tf.Tensor2D): tf.Tensor2D => {
  const { model, layer } = pass
  const names = model.config.layout.layer(layer)
  const output_RH = feedForward(
    x_RH,
    linearLayerOf(model, names.intermediate),
    linearLayerOf(model, names.output),
  )
  return addAndNormalise(pass, { prefix: names.outputNorm, site: dropoutSite.output(layer) }, output_RH, x_RH)
}

/** One layer of the encoder, from [ΣT, H] to [R, H]; `layer` counts from 0. */
export const encoderLayer = (
  model: EncoderModel,
  layer: number,
  x_TH: tf.Tensor2D,
  offsets: Int32Array,
  forward: Forward = {},
): tf.Tensor2D =>
  tf.tidy(() => {
    const pass = { model, layer, offsets, ...forward }
    return feedForwardNetwork(pass, selfAttention(pass, x_TH))
  })

/**
 * The last layer's hidden states at the indices that are read, [R, H].
 *
 * @returns a tensor that the caller disposes of
 * @throws RangeError if an id, a token type, a position or an index has no row in its table, or a sequence is empty
 */
export const encode = (model: EncoderModel, batch: Sequences, forward: Forward = {}): tf.Tensor2D =>
  tf.tidy(() => encodeEmbedded(model, embed(model, batch, forward.dropout), batch.offsets, forward))

/**
 * The same from the input of the first layer, [ΣT, H], of which it disposes.
 *
 * @returns a tensor that the caller disposes of
 */
export const encodeEmbedded = (
  model: EncoderModel,
  embedded_TH: tf.Tensor2D,
  offsets: Int32Array,
  { dropout, indices }: Forward = {},
): tf.Tensor2D =>
  tf.tidy(() => {
    let x_TH = embedded_TH
    const last = model.config.layers - 1
    for (let layer = 0; layer <= last; layer++) {
      const input_TH = x_TH
      const forward = { dropout, indices: layer === last ? indices : undefined }
      x_TH = encoderLayer(model, layer, input_TH, offsets, forward)
      // In training the tape keeps what the backward pass needs of it.
      input_TH.dispose()
    }
    return x_TH
  })
