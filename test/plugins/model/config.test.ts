import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { type } from "arktype"
import { configJson, configOf, EncoderConfig, sizes } from "../../../plugins/model/config.ts"
import { bert } from "../../../plugins/model/layouts/bert.ts"

const fixture: Record<string, unknown> = JSON.parse(
  readFileSync(new URL("../../fixtures/bert-2x32/config.json", import.meta.url), "utf8"),
)

const problemsOf = (changes: Record<string, unknown>): string => {
  const out = EncoderConfig({ ...fixture, ...changes })
  return out instanceof type.errors ? out.summary : "accepted"
}

test("a config.json of transformers is read, and its unknown keys are ignored", () => {
  expect(EncoderConfig(fixture)).toEqual({
    layout: bert,
    layers: 2,
    hidden: 32,
    embeddingSize: null,
    heads: 4,
    intermediate: 128,
    vocabularySize: 232,
    positions: 128,
    tokenTypes: 2,
    layerNormEpsilon: 1e-12,
    hiddenDropout: 0,
    attentionDropout: 0,
    classifierDropout: null,
    initializerRange: 0.02,
    labels: ["LABEL_0", "LABEL_1"],
    padTokenId: 0,
  })
})

test("a config survives writing and reading", () => {
  const config = {
    ...configOf("mini", 1000, 3),
    hiddenDropout: 0.4,
    classifierDropout: 0.25,
    labels: ["entailment", "neutral", "contradiction"],
  }
  const json: unknown = JSON.parse(JSON.stringify(configJson(config, "BertForSequenceClassification")))
  expect(EncoderConfig(json)).toEqual(config)
  expect(json).toMatchObject({
    architectures: ["BertForSequenceClassification"],
    label2id: { entailment: 0, neutral: 1, contradiction: 2 },
  })
})

test("defaults are those of transformers", () => {
  const { hidden_act, layer_norm_eps, initializer_range, hidden_dropout_prob, ...rest } = fixture
  expect([hidden_act, layer_norm_eps, initializer_range]).not.toContain(undefined)
  expect(EncoderConfig(rest)).toMatchObject({
    layerNormEpsilon: 1e-12,
    initializerRange: 0.02,
    hiddenDropout: 0.1,
  })
})

test.each<[string, Record<string, unknown>, string]>([
  ["another model", { model_type: "gpt2" }, "model_type"],
  ["no model type", { model_type: undefined }, "model_type"],
  ["an approximate activation", { hidden_act: "gelu_new" }, "hidden_act"],
  [
    "heads that do not divide the hidden width",
    { num_attention_heads: 5 },
    "hidden_size must be a multiple of num_attention_heads (5)",
  ],
  ["no layers", { num_hidden_layers: 0 }, "num_hidden_layers"],
  ["a negative size", { hidden_size: -32 }, "hidden_size"],
  ["a fractional size", { intermediate_size: 1.5 }, "intermediate_size"],
  ["an absurd size", { vocab_size: 1e12 }, "vocab_size"],
  ["a size as text", { hidden_size: "32" }, "hidden_size"],
  ["relative position embeddings", { position_embedding_type: "relative_key" }, "position_embedding_type"],
  ["a decoder", { is_decoder: true }, "is_decoder"],
  ["cross-attention", { add_cross_attention: true }, "add_cross_attention"],
  ["an untied decoder", { tie_word_embeddings: false }, "tie_word_embeddings"],
  ["pruned heads", { pruned_heads: { 1: [0] } }, "pruned_heads"],
  ["a dropout rate of 1", { hidden_dropout_prob: 1 }, "hidden_dropout_prob"],
  ["labels with a gap", { id2label: { 0: "a", 2: "c" } }, "id2label"],
  ["contradicting numbers of labels", { id2label: { 0: "a", 1: "b" }, num_labels: 3 }, "num_labels"],
])("refused: %s", (_, changes, key) => {
  expect(problemsOf(changes)).toContain(key)
})

test("empty pruned_heads, and num_labels without id2label, are accepted", () => {
  expect(problemsOf({ pruned_heads: {} })).toBe("accepted")
  expect(EncoderConfig({ ...fixture, num_labels: 3 })).toMatchObject({
    labels: ["LABEL_0", "LABEL_1", "LABEL_2"],
  })
})

test("the attention heads of the published sizes have 64 features", () => {
  for (const { hidden, heads } of Object.values(sizes)) expect(hidden / heads).toBe(64)
})
