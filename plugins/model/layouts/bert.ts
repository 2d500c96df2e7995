/** BERT (Devlin et al. 2019). */
import { type } from "arktype"
import { bertKeys, consistent, fromBertKeys, toBertKeys } from "./config-json.ts"
import { bertLayer, type EncoderConfig, type Layout, poolerOf } from "./layout.ts"

const prefix = "bert"

const ConfigJson = type({
  ...bertKeys,
  pad_token_id: type("number.integer >= 0").or("null").default(0),
}).narrow(consistent("hidden_size", "num_attention_heads"))

export const bert: Layout = {
  modelType: "bert",
  title: "BERT",
  className: "Bert",
  prefix,
  readConfig: ConfigJson.pipe(
    (json): EncoderConfig => ({
      layout: bert,
      ...fromBertKeys(json),
      positions: json.max_position_embeddings,
      padTokenId: json.pad_token_id ?? 0,
    }),
  ),
  writeConfig: (config) => toBertKeys(config, config.positions),
  firstPosition: () => 0,
  tokenTypes: true,
  layer: bertLayer(prefix),
  dropsAttentionOutput: true,
  storesPooler: true,
  classifier: {
    dense: poolerOf({ prefix }),
    activation: "tanh",
    output: "classifier",
    dropsInput: false,
  },
  maskedLanguageModel: {
    dense: "cls.predictions.transform.dense",
    norm: "cls.predictions.transform.LayerNorm",
    bias: "cls.predictions.bias",
    decoder: "cls.predictions.decoder",
  },
  // Question answering, next-sentence prediction.
  foreign: ["qa_outputs.", "cls.seq_relationship."],
}
