/**
 * BERT's `config.json` (Devlin et al. 2019, with the keys of Hugging Face transformers): what it means, and which
 * models are supported.
 */
import { type } from "arktype"

/** The sizes and dropout rates of a BERT encoder and its output heads. */
export interface BertConfig {
  readonly layers: number
  /** Width of the residual stream; a multiple of `heads`. */
  readonly hidden: number
  readonly heads: number
  /** Width of the feed-forward networks. */
  readonly intermediate: number
  readonly vocabularySize: number
  /** Length of the longest sequence, in tokens. */
  readonly positions: number
  /** Token type (segment) ids run from 0 to `tokenTypes` − 1. */
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

/** The configuration of a model of a published size, as published except for the vocabulary. */
export const configOf = (size: Size, vocabularySize: number, padTokenId: number): BertConfig => ({
  ...sizes[size],
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
export const withDropout = (config: BertConfig, rate: number): BertConfig => ({
  ...config,
  hiddenDropout: rate,
  attentionDropout: rate,
  classifierDropout: rate,
})

const rate = type("0 <= number < 1")
const labelNames = type("Record<string, string>").narrow((names, context) => {
  const ids = Object.keys(names)
  const counted = ids.every((_, id) => Object.hasOwn(names, String(id)))
  return (counted && ids.length > 0) || context.mustBe("an object with the keys 0, 1, 2, …")
})

/**
 * The keys of `config.json` that matter. Hugging Face writes many more, which differ between its versions and do not
 * affect the computation; they are ignored. Values that would change the computation are refused.
 */
const ConfigJson = type({
  model_type: "'bert'",
  hidden_act: "'gelu' = 'gelu'",
  num_hidden_layers: "1 <= number.integer <= 1024",
  hidden_size: "1 <= number.integer <= 65536",
  num_attention_heads: "1 <= number.integer <= 1024",
  intermediate_size: "1 <= number.integer <= 262144",
  vocab_size: "1 <= number.integer <= 4194304",
  max_position_embeddings: "1 <= number.integer <= 65536",
  type_vocab_size: "1 <= number.integer <= 1024",
  layer_norm_eps: type("0 < number < 1").default(1e-12),
  hidden_dropout_prob: rate.default(0.1),
  attention_probs_dropout_prob: rate.default(0.1),
  classifier_dropout: rate.or("null").default(null),
  initializer_range: "0 < number < 1 = 0.02",
  "num_labels?": "1 <= number.integer <= 65536",
  "id2label?": labelNames,
  pad_token_id: type("number.integer >= 0").or("null").default(0),
  "position_embedding_type?": "'absolute'",
  "is_decoder?": "false",
  "add_cross_attention?": "false",
  "tie_word_embeddings?": "true",
  "pruned_heads?": type("Record<string, unknown>").narrow(
    (pruned, context) => Object.keys(pruned).length === 0 || context.mustBe("empty"),
  ),
}).narrow(({ hidden_size, num_attention_heads, id2label, num_labels }, context) => {
  if (hidden_size % num_attention_heads !== 0) {
    return context.reject({
      path: ["hidden_size"],
      expected: `a multiple of num_attention_heads (${num_attention_heads})`,
      actual: String(hidden_size),
    })
  }
  const named = id2label === undefined ? num_labels : Object.keys(id2label).length
  if (num_labels !== undefined && named !== num_labels) {
    return context.reject({
      path: ["num_labels"],
      expected: `${named}, the number of names in id2label`,
      actual: String(num_labels),
    })
  }
  return true
})

/** A `config.json`, checked and translated to our names. */
export const BertConfig = ConfigJson.pipe(
  (json): BertConfig => ({
    layers: json.num_hidden_layers,
    hidden: json.hidden_size,
    heads: json.num_attention_heads,
    intermediate: json.intermediate_size,
    vocabularySize: json.vocab_size,
    positions: json.max_position_embeddings,
    tokenTypes: json.type_vocab_size,
    layerNormEpsilon: json.layer_norm_eps,
    hiddenDropout: json.hidden_dropout_prob,
    attentionDropout: json.attention_probs_dropout_prob,
    classifierDropout: json.classifier_dropout,
    initializerRange: json.initializer_range,
    labels: Array.from(
      { length: json.id2label === undefined ? (json.num_labels ?? 2) : Object.keys(json.id2label).length },
      (_, id) => json.id2label?.[id] ?? `LABEL_${id}`,
    ),
    padTokenId: json.pad_token_id ?? 0,
  }),
)

/** The classes of transformers that a checkpoint can be saved for. */
export type Architecture = "BertModel" | "BertForMaskedLM" | "BertForSequenceClassification"

/** A `config.json` from which transformers builds the same model. */
export const configJson = (config: BertConfig, architecture: Architecture): Record<string, unknown> => ({
  architectures: [architecture],
  model_type: "bert",
  attention_probs_dropout_prob: config.attentionDropout,
  classifier_dropout: config.classifierDropout,
  hidden_act: "gelu",
  hidden_dropout_prob: config.hiddenDropout,
  hidden_size: config.hidden,
  id2label: Object.fromEntries(config.labels.map((label, id) => [id, label])),
  initializer_range: config.initializerRange,
  intermediate_size: config.intermediate,
  label2id: Object.fromEntries(config.labels.map((label, id) => [label, id])),
  layer_norm_eps: config.layerNormEpsilon,
  max_position_embeddings: config.positions,
  num_attention_heads: config.heads,
  num_hidden_layers: config.layers,
  pad_token_id: config.padTokenId,
  tie_word_embeddings: true,
  type_vocab_size: config.tokenTypes,
  vocab_size: config.vocabularySize,
})
