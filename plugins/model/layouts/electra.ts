/**
 * ELECTRA's discriminator (Clark et al. 2020): BERT's layers above embeddings that may be narrower. It has no pooler,
 * and it does not predict tokens, so it has no masked language model.
 */
import { type } from "arktype"
import { bertKeys, consistent, fromBertKeys, toBertKeys } from "./config-json.ts"
import { bertLayer, type EncoderConfig, type Layout } from "./layout.ts"

const prefix = "electra"

const ConfigJson = type({
  ...bertKeys,
  embedding_size: "1 <= number.integer <= 65536 = 128",
  pad_token_id: type("number.integer >= 0").or("null").default(0),
}).narrow(consistent("hidden_size", "num_attention_heads"))

export const electra: Layout = {
  modelType: "electra",
  title: "ELECTRA",
  className: "Electra",
  prefix,
  readConfig: ConfigJson.pipe(
    (json): EncoderConfig => ({
      layout: electra,
      ...fromBertKeys(json),
      embeddingSize: json.embedding_size === json.hidden_size ? null : json.embedding_size,
      positions: json.max_position_embeddings,
      padTokenId: json.pad_token_id ?? 0,
    }),
  ),
  writeConfig: (config) => ({
    ...toBertKeys(config, config.positions),
    embedding_size: config.embeddingSize ?? config.hidden,
  }),
  firstPosition: () => 0,
  tokenTypes: true,
  layer: bertLayer(prefix),
  dropsAttentionOutput: true,
  storesPooler: false,
  classifier: {
    dense: "classifier.dense",
    activation: "gelu",
    output: "classifier.out_proj",
    dropsInput: true,
  },
  foreign: ["qa_outputs.", "discriminator_predictions.", "generator_predictions.", "generator_lm_head."],
}
