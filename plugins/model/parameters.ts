/** The parameters of a model: their names in Hugging Face's layout, shapes, blocks and counts. */
import type { EncoderConfig } from "./config.ts"
import { type Dimension, type Layout, poolerOf, projectionOf } from "./layouts/layout.ts"

/** What a model may have on top of its encoder, in the order of their parameters. */
export const outputHeads = ["pooler", "maskedLanguageModel", "classifier"] as const
export type OutputHead = (typeof outputHeads)[number]

const sizeOf: Record<Dimension, (config: EncoderConfig) => number> = {
  vocab_size: (config) => config.vocabularySize,
  max_position_embeddings: (config) => config.positions + config.layout.firstPosition(config),
  type_vocab_size: (config) => config.tokenTypes,
  embedding_size: (config) => config.embeddingSize ?? config.hidden,
  hidden_size: (config) => config.hidden,
  intermediate_size: (config) => config.intermediate,
  num_labels: (config) => config.labels.length,
}

export interface ParameterSpec {
  /** Hugging Face's name, with the encoder's prefix (`bert.`) as in models that have a head. */
  readonly name: string
  readonly shape: readonly number[]
  /** The keys of `config.json` that determine the shape. */
  readonly dimensions: readonly string[]
  /** `embeddings`, `layer.0` … or the output head's name. */
  readonly block: "embeddings" | `layer.${number}` | OutputHead
  /** Weights are drawn at random; biases start at 0; scales (LayerNorm's gains) start at 1. */
  readonly role: "weight" | "bias" | "scale"
}

/** The parameters of a model with every output head, in the order of files and of `Parameters`. */
export const everyParameterOf = (config: EncoderConfig): readonly ParameterSpec[] => {
  const { layout } = config
  const specs: ParameterSpec[] = []
  const add = (
    block: ParameterSpec["block"],
    name: string,
    role: ParameterSpec["role"],
    ...sizes: Dimension[]
  ) => {
    const shape = sizes.map((size) => sizeOf[size](config))
    specs.push({ name, shape, dimensions: sizes.map((size) => layout.keys?.[size] ?? size), block, role })
  }
  const addLinear = (
    block: ParameterSpec["block"],
    prefix: string,
    outputs: Dimension,
    inputs: Dimension,
  ) => {
    add(block, `${prefix}.weight`, "weight", outputs, inputs)
    add(block, `${prefix}.bias`, "bias", outputs)
  }
  const addLayerNorm = (block: ParameterSpec["block"], prefix: string, size: Dimension = "hidden_size") => {
    add(block, `${prefix}.weight`, "scale", size)
    add(block, `${prefix}.bias`, "bias", size)
  }

  const embeddings = `${layout.prefix}.embeddings`
  const projected = config.embeddingSize !== null
  const width = projected ? "embedding_size" : "hidden_size"
  add("embeddings", `${embeddings}.word_embeddings.weight`, "weight", "vocab_size", width)
  add("embeddings", `${embeddings}.position_embeddings.weight`, "weight", "max_position_embeddings", width)
  if (layout.tokenTypes) {
    add("embeddings", `${embeddings}.token_type_embeddings.weight`, "weight", "type_vocab_size", width)
  }
  addLayerNorm("embeddings", `${embeddings}.LayerNorm`, width)
  if (projected) addLinear("embeddings", projectionOf(layout), "hidden_size", width)
  for (let layer = 0; layer < config.layers; layer++) {
    const block = `layer.${layer}` as const
    const names = layout.layer(layer)
    addLinear(block, names.query, "hidden_size", "hidden_size")
    addLinear(block, names.key, "hidden_size", "hidden_size")
    addLinear(block, names.value, "hidden_size", "hidden_size")
    addLinear(block, names.attentionOutput, "hidden_size", "hidden_size")
    addLayerNorm(block, names.attentionNorm)
    addLinear(block, names.intermediate, "intermediate_size", "hidden_size")
    addLinear(block, names.output, "hidden_size", "intermediate_size")
    addLayerNorm(block, names.outputNorm)
  }
  addLinear("pooler", poolerOf(layout), "hidden_size", "hidden_size")
  if (layout.maskedLanguageModel !== undefined) {
    const { bias, dense, norm } = layout.maskedLanguageModel
    // The decoder's weight is the table of the word embeddings (Press and Wolf 2017), so only its bias is here.
    add("maskedLanguageModel", bias, "bias", "vocab_size")
    addLinear("maskedLanguageModel", dense, "hidden_size", "hidden_size")
    addLayerNorm("maskedLanguageModel", norm)
  }
  if (!classifiesPooled(layout))
    addLinear("classifier", layout.classifier.dense, "hidden_size", "hidden_size")
  addLinear("classifier", layout.classifier.output, "num_labels", "hidden_size")
  return specs
}

/** Whether the classifier stands on the pooler; if not, it has a dense layer of its own. */
const classifiesPooled = (layout: Layout): boolean => layout.classifier.dense === poolerOf(layout)

/**
 * The parameters of a model with the given output heads, in the order of files and of `Parameters`. A pooler is left
 * out beside a classifier that does not stand on it (RoBERTa, ELECTRA, DistilBERT), since nothing would train it.
 *
 * @throws RangeError for a masked language model if the layout has none
 */
export const parametersOf = (
  config: EncoderConfig,
  wanted: readonly OutputHead[],
): readonly ParameterSpec[] => {
  const { layout } = config
  if (wanted.includes("maskedLanguageModel") && layout.maskedLanguageModel === undefined) {
    throw new RangeError(`${layout.title} has no masked language model`)
  }
  const pooled = wanted.includes("pooler") && (classifiesPooled(layout) || !wanted.includes("classifier"))
  return everyParameterOf(config).filter(({ block }) =>
    block === "pooler"
      ? pooled
      : block === "maskedLanguageModel" || block === "classifier"
        ? wanted.includes(block)
        : true,
  )
}

/** Those of `parametersOf` that transformers' files contain: all but the pooler of a family that has none. */
export const storedParametersOf = (
  config: EncoderConfig,
  wanted: readonly OutputHead[],
): readonly ParameterSpec[] =>
  parametersOf(config, wanted).filter(({ block }) => block !== "pooler" || config.layout.storesPooler)

/** A parameter's sizes with their keys in `config.json`: `vocab_size 30522, hidden_size 768`. */
export const describeDimensions = ({ dimensions, shape }: ParameterSpec): string =>
  dimensions.map((dimension, axis) => `${dimension} ${shape[axis]}`).join(", ")

/** The number of scalars in the parameters. */
export const countParameters = (specs: readonly ParameterSpec[]): number =>
  specs.reduce((count, { shape }) => count + shape.reduce((product, size) => product * size, 1), 0)

/** The names of each block's parameters; blocks in the model's order. */
export const blocksOf = (specs: readonly ParameterSpec[]): ReadonlyMap<string, readonly string[]> => {
  const blocks = new Map<string, string[]>()
  for (const { block, name } of specs) {
    const names = blocks.get(block)
    if (names === undefined) blocks.set(block, [name])
    else names.push(name)
  }
  return blocks
}

const layerPattern = /^layer\.(\d+)$/

/** The index of the layer that a block is, from 0; undefined if the block is not a layer. */
export const layerOf = (block: string): number | undefined => {
  const number = layerPattern.exec(block)?.[1]
  return number === undefined ? undefined : Number(number)
}
