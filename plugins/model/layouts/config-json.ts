/**
 * The keys of `config.json` that matter, as BERT and the families that kept its keys write them. Hugging Face writes
 * many more, which differ between its versions and do not affect the computation; they are ignored. Values that would
 * change the computation are refused.
 */
import { type Traversal, type } from "arktype"
import type { EncoderConfig } from "./layout.ts"

export const rate = type("0 <= number < 1")

const labelNames = type("Record<string, string>").narrow((names, context) => {
  const ids = Object.keys(names)
  const counted = ids.every((_, id) => Object.hasOwn(names, String(id)))
  return (counted && ids.length > 0) || context.mustBe("an object with the keys 0, 1, 2, …")
})

/** Keys of every family. */
export const commonKeys = {
  vocab_size: "1 <= number.integer <= 4194304",
  max_position_embeddings: "1 <= number.integer <= 65536",
  initializer_range: "0 < number < 1 = 0.02",
  "num_labels?": "1 <= number.integer <= 65536",
  "id2label?": labelNames,
  "is_decoder?": "false",
  "add_cross_attention?": "false",
  "tie_word_embeddings?": "true",
  "pruned_heads?": type("Record<string, unknown>").narrow(
    (pruned, context) => Object.keys(pruned).length === 0 || context.mustBe("empty"),
  ),
} as const

/** Keys of BERT and the families that kept its keys. */
export const bertKeys = {
  ...commonKeys,
  hidden_act: "'gelu' = 'gelu'",
  num_hidden_layers: "1 <= number.integer <= 1024",
  hidden_size: "1 <= number.integer <= 65536",
  num_attention_heads: "1 <= number.integer <= 1024",
  intermediate_size: "1 <= number.integer <= 262144",
  type_vocab_size: "1 <= number.integer <= 1024",
  layer_norm_eps: type("0 < number < 1").default(1e-12),
  hidden_dropout_prob: rate.default(0.1),
  attention_probs_dropout_prob: rate.default(0.1),
  classifier_dropout: rate.or("null").default(null),
  "position_embedding_type?": "'absolute'",
} as const

interface Labels {
  readonly num_labels?: number
  readonly id2label?: Readonly<Record<string, string>>
}

/** Narrows to configurations whose heads divide the hidden width, and whose numbers of labels agree. */
export const consistent =
  <K extends string, H extends string>(hidden: K, heads: H) =>
  (json: Labels & Readonly<Record<K | H, number>>, context: Traversal): boolean => {
    if (json[hidden] % json[heads] !== 0) {
      return context.reject({
        path: [hidden],
        expected: `a multiple of ${heads} (${json[heads]})`,
        actual: String(json[hidden]),
      })
    }
    const { id2label, num_labels } = json
    const named = id2label === undefined ? num_labels : Object.keys(id2label).length
    if (num_labels !== undefined && named !== num_labels) {
      return context.reject({
        path: ["num_labels"],
        expected: `${named}, the number of names in id2label`,
        actual: String(num_labels),
      })
    }
    return true
  }

export const labelsOf = ({ id2label, num_labels }: Labels): readonly string[] =>
  Array.from(
    { length: id2label === undefined ? (num_labels ?? 2) : Object.keys(id2label).length },
    (_, id) => id2label?.[id] ?? `LABEL_${id}`,
  )

const BertJson = type(bertKeys)

/** What `bertKeys` mean, apart from the layout and what depends on it. */
export const fromBertKeys = (
  json: typeof BertJson.infer,
): Omit<EncoderConfig, "layout" | "positions" | "padTokenId"> => ({
  layers: json.num_hidden_layers,
  hidden: json.hidden_size,
  embeddingSize: null,
  heads: json.num_attention_heads,
  intermediate: json.intermediate_size,
  vocabularySize: json.vocab_size,
  tokenTypes: json.type_vocab_size,
  layerNormEpsilon: json.layer_norm_eps,
  hiddenDropout: json.hidden_dropout_prob,
  attentionDropout: json.attention_probs_dropout_prob,
  classifierDropout: json.classifier_dropout,
  initializerRange: json.initializer_range,
  labels: labelsOf(json),
})

export const labelKeys = ({ labels }: EncoderConfig) => ({
  id2label: Object.fromEntries(labels.map((label, id) => [id, label])),
  label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
})

/** The keys of BERT and the families that kept them, in alphabetical order. */
export const toBertKeys = (config: EncoderConfig, positions: number): Record<string, unknown> => {
  const { id2label, label2id } = labelKeys(config)
  return {
    attention_probs_dropout_prob: config.attentionDropout,
    classifier_dropout: config.classifierDropout,
    hidden_act: "gelu",
    hidden_dropout_prob: config.hiddenDropout,
    hidden_size: config.hidden,
    id2label,
    initializer_range: config.initializerRange,
    intermediate_size: config.intermediate,
    label2id,
    layer_norm_eps: config.layerNormEpsilon,
    max_position_embeddings: positions,
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    pad_token_id: config.padTokenId,
    tie_word_embeddings: true,
    type_vocab_size: config.tokenTypes,
    vocab_size: config.vocabularySize,
  }
}
