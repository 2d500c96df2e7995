/** DistilBERT (Sanh et al. 2019): BERT's layers without token types, pooler, and dropout after attention. */
import { type } from "arktype"
import { commonKeys, consistent, labelKeys, labelsOf, rate } from "./config-json.ts"
import type { EncoderConfig, Layout } from "./layout.ts"

const ConfigJson = type({
  ...commonKeys,
  activation: "'gelu' = 'gelu'",
  n_layers: "1 <= number.integer <= 1024",
  dim: "1 <= number.integer <= 65536",
  n_heads: "1 <= number.integer <= 1024",
  hidden_dim: "1 <= number.integer <= 262144",
  dropout: rate.default(0.1),
  attention_dropout: rate.default(0.1),
  seq_classif_dropout: rate.default(0.2),
  pad_token_id: type("number.integer >= 0").or("null").default(0),
  // Fixed positions are not trained in transformers.
  "sinusoidal_pos_embds?": "false",
}).narrow(consistent("dim", "n_heads"))

export const distilbert: Layout = {
  modelType: "distilbert",
  title: "DistilBERT",
  className: "DistilBert",
  prefix: "distilbert",
  readConfig: ConfigJson.pipe(
    (json): EncoderConfig => ({
      layout: distilbert,
      layers: json.n_layers,
      hidden: json.dim,
      embeddingSize: null,
      heads: json.n_heads,
      intermediate: json.hidden_dim,
      vocabularySize: json.vocab_size,
      positions: json.max_position_embeddings,
      // Its tokenizer is BERT's, so data may have both types; the encoder ignores them.
      tokenTypes: 2,
      layerNormEpsilon: 1e-12,
      hiddenDropout: json.dropout,
      attentionDropout: json.attention_dropout,
      classifierDropout: json.seq_classif_dropout,
      initializerRange: json.initializer_range,
      labels: labelsOf(json),
      padTokenId: json.pad_token_id ?? 0,
    }),
  ),
  writeConfig: (config) => {
    const { id2label, label2id } = labelKeys(config)
    return {
      activation: "gelu",
      attention_dropout: config.attentionDropout,
      dim: config.hidden,
      dropout: config.hiddenDropout,
      hidden_dim: config.intermediate,
      id2label,
      initializer_range: config.initializerRange,
      label2id,
      max_position_embeddings: config.positions,
      n_heads: config.heads,
      n_layers: config.layers,
      pad_token_id: config.padTokenId,
      seq_classif_dropout: config.classifierDropout ?? config.hiddenDropout,
      sinusoidal_pos_embds: false,
      tie_word_embeddings: true,
      vocab_size: config.vocabularySize,
    }
  },
  keys: {
    hidden_size: "dim",
    intermediate_size: "hidden_dim",
    num_hidden_layers: "n_layers",
    num_attention_heads: "n_heads",
  },
  firstPosition: () => 0,
  tokenTypes: false,
  layer: (layer) => {
    const names = `distilbert.transformer.layer.${layer}`
    return {
      query: `${names}.attention.q_lin`,
      key: `${names}.attention.k_lin`,
      value: `${names}.attention.v_lin`,
      attentionOutput: `${names}.attention.out_lin`,
      attentionNorm: `${names}.sa_layer_norm`,
      intermediate: `${names}.ffn.lin1`,
      output: `${names}.ffn.lin2`,
      outputNorm: `${names}.output_layer_norm`,
    }
  },
  dropsAttentionOutput: false,
  storesPooler: false,
  classifier: {
    dense: "pre_classifier",
    activation: "relu",
    output: "classifier",
    dropsInput: false,
  },
  maskedLanguageModel: {
    dense: "vocab_transform",
    norm: "vocab_layer_norm",
    bias: "vocab_projector.bias",
    decoder: "vocab_projector",
  },
  foreign: ["qa_outputs."],
}
