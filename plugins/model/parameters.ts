/** The parameters of a BERT model: their names in Hugging Face's layout, shapes, blocks and counts. */
import type { BertConfig } from "./config.ts"

/** What a model may have on top of its encoder, in the order of their parameters. */
export const outputHeads = ["pooler", "maskedLanguageModel", "classifier"] as const
export type OutputHead = (typeof outputHeads)[number]

/** The keys of `config.json` that determine the shapes of parameters. */
const sizeOf = {
  vocab_size: (config: BertConfig) => config.vocabularySize,
  max_position_embeddings: (config: BertConfig) => config.positions,
  type_vocab_size: (config: BertConfig) => config.tokenTypes,
  hidden_size: (config: BertConfig) => config.hidden,
  intermediate_size: (config: BertConfig) => config.intermediate,
  num_labels: (config: BertConfig) => config.labels.length,
}
export type Dimension = keyof typeof sizeOf

export interface ParameterSpec {
  /** Hugging Face's name, with the prefix `bert.` as in models that have a head. */
  readonly name: string
  readonly shape: readonly number[]
  readonly dimensions: readonly Dimension[]
  /** `embeddings`, `layer.0` … or the output head's name. */
  readonly block: "embeddings" | `layer.${number}` | OutputHead
  /** Weights are drawn at random; biases start at 0; scales (LayerNorm's gains) start at 1. */
  readonly role: "weight" | "bias" | "scale"
}

/** The parameters of a model with the given output heads, in the order of files and of `Parameters`. */
export const parametersOf = (config: BertConfig, wanted: readonly OutputHead[]): readonly ParameterSpec[] => {
  const specs: ParameterSpec[] = []
  const add = (
    block: ParameterSpec["block"],
    name: string,
    role: ParameterSpec["role"],
    ...sizes: Dimension[]
  ) => {
    const shape = sizes.map((size) => sizeOf[size](config))
    specs.push({ name, shape, dimensions: sizes, block, role })
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
  const addLayerNorm = (block: ParameterSpec["block"], prefix: string) => {
    add(block, `${prefix}.weight`, "scale", "hidden_size")
    add(block, `${prefix}.bias`, "bias", "hidden_size")
  }

  const embeddings = "bert.embeddings"
  add("embeddings", `${embeddings}.word_embeddings.weight`, "weight", "vocab_size", "hidden_size")
  add(
    "embeddings",
    `${embeddings}.position_embeddings.weight`,
    "weight",
    "max_position_embeddings",
    "hidden_size",
  )
  add("embeddings", `${embeddings}.token_type_embeddings.weight`, "weight", "type_vocab_size", "hidden_size")
  addLayerNorm("embeddings", `${embeddings}.LayerNorm`)
  for (let layer = 0; layer < config.layers; layer++) {
    const block = `layer.${layer}` as const
    const prefix = `bert.encoder.layer.${layer}`
    addLinear(block, `${prefix}.attention.self.query`, "hidden_size", "hidden_size")
    addLinear(block, `${prefix}.attention.self.key`, "hidden_size", "hidden_size")
    addLinear(block, `${prefix}.attention.self.value`, "hidden_size", "hidden_size")
    addLinear(block, `${prefix}.attention.output.dense`, "hidden_size", "hidden_size")
    addLayerNorm(block, `${prefix}.attention.output.LayerNorm`)
    addLinear(block, `${prefix}.intermediate.dense`, "intermediate_size", "hidden_size")
    addLinear(block, `${prefix}.output.dense`, "hidden_size", "intermediate_size")
    addLayerNorm(block, `${prefix}.output.LayerNorm`)
  }
  if (wanted.includes("pooler")) addLinear("pooler", "bert.pooler.dense", "hidden_size", "hidden_size")
  if (wanted.includes("maskedLanguageModel")) {
    // The decoder's weight is the table of the word embeddings (Press and Wolf 2017), so only its bias is here.
    add("maskedLanguageModel", "cls.predictions.bias", "bias", "vocab_size")
    addLinear("maskedLanguageModel", "cls.predictions.transform.dense", "hidden_size", "hidden_size")
    addLayerNorm("maskedLanguageModel", "cls.predictions.transform.LayerNorm")
  }
  if (wanted.includes("classifier")) addLinear("classifier", "classifier", "num_labels", "hidden_size")
  return specs
}

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
