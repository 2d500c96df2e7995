/**
 * RoBERTa (Liu et al. 2019): BERT's layers with one token type and positions that start after the padding token's id.
 * Its classifier has a dense layer of its own instead of the pooler.
 */
import { type } from "arktype"
import { bertKeys, consistent, fromBertKeys, toBertKeys } from "./config-json.ts"
import { bertLayer, type EncoderConfig, type Layout } from "./layout.ts"

const prefix = "roberta"

/** Positions count from `pad_token_id` + 1, as in fairseq, where padding has the position `pad_token_id`. */
const firstPosition = ({ padTokenId }: Pick<EncoderConfig, "padTokenId">): number => padTokenId + 1

const ConfigJson = type({ ...bertKeys, pad_token_id: "number.integer >= 0 = 1" })
  .narrow(consistent("hidden_size", "num_attention_heads"))
  .narrow(
    ({ max_position_embeddings, pad_token_id }, context) =>
      max_position_embeddings > pad_token_id + 1 ||
      context.reject({
        path: ["max_position_embeddings"],
        expected: `more than ${pad_token_id + 1}, since positions start at pad_token_id + 1`,
        actual: String(max_position_embeddings),
      }),
  )

export const roberta: Layout = {
  modelType: "roberta",
  title: "RoBERTa",
  className: "Roberta",
  prefix,
  readConfig: ConfigJson.pipe(
    (json): EncoderConfig => ({
      layout: roberta,
      ...fromBertKeys(json),
      positions: json.max_position_embeddings - firstPosition({ padTokenId: json.pad_token_id }),
      padTokenId: json.pad_token_id,
    }),
  ),
  writeConfig: (config) => toBertKeys(config, config.positions + firstPosition(config)),
  firstPosition,
  tokenTypes: true,
  layer: bertLayer(prefix),
  dropsAttentionOutput: true,
  storesPooler: true,
  classifier: {
    dense: "classifier.dense",
    activation: "tanh",
    output: "classifier.out_proj",
    dropsInput: true,
  },
  maskedLanguageModel: {
    dense: "lm_head.dense",
    norm: "lm_head.layer_norm",
    bias: "lm_head.bias",
    decoder: "lm_head.decoder",
  },
  foreign: ["qa_outputs."],
}
