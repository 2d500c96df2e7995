/**
 * A layout: how Hugging Face transformers names and arranges one family of encoders. All families have the same
 * layers (Vaswani et al. 2017, with normalisation after each residual sum); what differs between them is here.
 */
import type { type } from "arktype"

/** The layout, sizes and dropout rates of an encoder and its output heads. */
export interface EncoderConfig {
  readonly layout: Layout
  readonly layers: number
  /** Width of the residual stream; a multiple of `heads`. */
  readonly hidden: number
  /** Width of the embeddings, which are projected to `hidden`; null means `hidden`, without a projection. */
  readonly embeddingSize: number | null
  readonly heads: number
  /** Width of the feed-forward networks. */
  readonly intermediate: number
  readonly vocabularySize: number
  /** Length of the longest sequence, in tokens. */
  readonly positions: number
  /** Token type (segment) ids of the data run from 0 to `tokenTypes` − 1. */
  readonly tokenTypes: number
  readonly layerNormEpsilon: number
  readonly hiddenDropout: number
  readonly attentionDropout: number
  /** Before the classifier; null means `hiddenDropout`. */
  readonly classifierDropout: number | null
  /** Standard deviation of newly drawn weights. */
  readonly initializerRange: number
  /** Names of the classes, in the order of the logits. */
  readonly labels: readonly string[]
  /** Id of the padding token. Kept for other programs: nothing is padded here. */
  readonly padTokenId: number
}

/** The prefixes of a layer's linear maps and LayerNorms; each has a `weight` and a `bias`. */
export interface LayerNames {
  readonly query: string
  readonly key: string
  readonly value: string
  readonly attentionOutput: string
  readonly attentionNorm: string
  /** From the hidden width to that of the feed-forward network. */
  readonly intermediate: string
  readonly output: string
  readonly outputNorm: string
}

/** logits = output · dropout(activation(dense · h)), with h the hidden state of a sequence's first token. */
export interface ClassifierNames {
  /** The pooler's prefix if the classifier stands on the pooler. */
  readonly dense: string
  readonly activation: "tanh" | "gelu" | "relu"
  readonly output: string
  /** Whether h is dropped too. */
  readonly dropsInput: boolean
}

/** logits = decoder · LayerNorm(gelu(dense · h)) + bias; the decoder's weight is the table of the word embeddings. */
export interface MaskedLanguageModelNames {
  readonly dense: string
  readonly norm: string
  /** The full name of the bias. */
  readonly bias: string
  /** The prefix under which transformers may save the tied weight, and the bias, again. */
  readonly decoder: string
}

/** The sizes that shapes of parameters consist of, by BERT's keys in `config.json`. */
export type Dimension =
  | "vocab_size"
  | "max_position_embeddings"
  | "type_vocab_size"
  | "embedding_size"
  | "hidden_size"
  | "intermediate_size"
  | "num_labels"

export interface Layout {
  /** `model_type` in `config.json`: `roberta`. */
  readonly modelType: string
  /** Its name for people: `RoBERTa`. */
  readonly title: string
  /** What the names of its classes in transformers start with: `Roberta`. */
  readonly className: string
  /** What the names of the encoder's parameters start with in a model that has a head: `roberta`. */
  readonly prefix: string
  /** A `config.json` of this `model_type`, checked and translated to our names. */
  readonly readConfig: (json: unknown) => EncoderConfig | type.errors
  /** The keys of `config.json` apart from `architectures` and `model_type`. */
  readonly writeConfig: (config: EncoderConfig) => Record<string, unknown>
  /** Keys of `config.json` that are not called as in BERT's. */
  readonly keys?: Readonly<Partial<Record<Dimension | "num_hidden_layers" | "num_attention_heads", string>>>
  /** The row of the position table for a sequence's first token; those before it are unused. */
  readonly firstPosition: (config: EncoderConfig) => number
  /** Whether there is a table of token types. */
  readonly tokenTypes: boolean
  readonly layer: (layer: number) => LayerNames
  /** Whether dropout follows the output projection of attention, as in BERT. */
  readonly dropsAttentionOutput: boolean
  /**
   * Whether transformers has a pooler in this family, `<prefix>.pooler.dense`. If not, a pooler can still be trained
   * on the encoder, as SimCSE's head, but no file contains it.
   */
  readonly storesPooler: boolean
  readonly classifier: ClassifierNames
  /** Absent if the family has none, or none that is supported. */
  readonly maskedLanguageModel?: MaskedLanguageModelNames
  /** Prefixes of heads of transformers that are not supported here. */
  readonly foreign: readonly string[]
}

export const poolerOf = ({ prefix }: Pick<Layout, "prefix">): string => `${prefix}.pooler.dense`

/** The linear map from embeddings to the hidden width, if they are narrower or wider. */
export const projectionOf = ({ prefix }: Pick<Layout, "prefix">): string => `${prefix}.embeddings_project`

/** The names of a layer in BERT and the families that kept its names. */
export const bertLayer =
  (prefix: string) =>
  (layer: number): LayerNames => {
    const names = `${prefix}.encoder.layer.${layer}`
    return {
      query: `${names}.attention.self.query`,
      key: `${names}.attention.self.key`,
      value: `${names}.attention.self.value`,
      attentionOutput: `${names}.attention.output.dense`,
      attentionNorm: `${names}.attention.output.LayerNorm`,
      intermediate: `${names}.intermediate.dense`,
      output: `${names}.output.dense`,
      outputNorm: `${names}.output.LayerNorm`,
    }
  }
