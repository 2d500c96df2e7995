/** The configuration of an encoder, read from and written to the `config.json` of Hugging Face transformers. */
import { type } from "arktype"
import { bert } from "./layouts/bert.ts"
import type { EncoderConfig as Config } from "./layouts/layout.ts"
import { layouts } from "./layouts.ts"

export type EncoderConfig = Config

/** Layers, hidden width and attention heads of the published models (Devlin et al. 2019; Turc et al. 2019). */
export const sizes = {
  tiny: { layers: 2, hidden: 128, heads: 2 },
  mini: { layers: 4, hidden: 256, heads: 4 },
  small: { layers: 4, hidden: 512, heads: 8 },
  medium: { layers: 8, hidden: 512, heads: 8 },
  base: { layers: 12, hidden: 768, heads: 12 },
  large: { layers: 24, hidden: 1024, heads: 16 },
} as const

export type Size = keyof typeof sizes

/** The configuration of a BERT of a published size, as published except for the vocabulary. */
export const configOf = (size: Size, vocabularySize: number, padTokenId: number): EncoderConfig => ({
  layout: bert,
  ...sizes[size],
  embeddingSize: null,
  intermediate: 4 * sizes[size].hidden,
  vocabularySize,
  positions: 512,
  tokenTypes: 2,
  layerNormEpsilon: 1e-12,
  hiddenDropout: 0.1,
  attentionDropout: 0.1,
  classifierDropout: null,
  initializerRange: 0.02,
  labels: ["LABEL_0", "LABEL_1"],
  padTokenId,
})

/** The configuration with the same dropout rate throughout the model. */
export const withDropout = (config: EncoderConfig, rate: number): EncoderConfig => ({
  ...config,
  hiddenDropout: rate,
  attentionDropout: rate,
  classifierDropout: rate,
})

const ModelType = type({ model_type: type.enumerated(...layouts.keys()) })

/** A `config.json`, checked and translated to our names. */
export const EncoderConfig = ModelType.pipe((json) => layouts.get(json.model_type)!.readConfig(json))

/**
 * The classes of transformers that a checkpoint can be saved for, by their names in BERT's family; a model of another
 * layout is saved for that family's class of the same kind.
 */
export type Architecture = "BertModel" | "BertForMaskedLM" | "BertForSequenceClassification"

/** A `config.json` from which transformers builds the same model. */
export const configJson = (config: EncoderConfig, architecture: Architecture): Record<string, unknown> => {
  const { className, modelType, writeConfig } = config.layout
  return {
    architectures: [architecture.replace(/^Bert/, className)],
    model_type: modelType,
    ...writeConfig(config),
  }
}
