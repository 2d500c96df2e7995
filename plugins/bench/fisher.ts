import { type } from "arktype"
import { Effect } from "effect"
import { bench } from "../../core/api/bench.ts"
import { blocksOf, layerOf, parametersOf } from "../model/parameters.ts"
import { blockGrams, parameterGrams } from "../probe/shared/gram/block-grams.ts"
import { observationCost } from "../probe/shared/gram/cost.ts"
import { effectiveRank } from "../probe/shared/rank.ts"
import { eigenvalues } from "../probe/shared/spectrum.ts"
import { freshModel } from "./shared/model.ts"
import { fields, flagTexts } from "./shared/options.ts"
import { pairs } from "./shared/sequences.ts"

const outputHeads = ["pooler", "classifier"] as const

export const fisher = bench({
  name: "fisher",
  summary: "Observations of the Fisher probe: Gram matrices, their eigenvalues and effective ranks, by layer",
  flags: {
    model: flagTexts.model,
    rte: flagTexts.rte,
    tokenizer: flagTexts.tokenizer,
    samples: "Examples whose gradients make the Gram matrices (default: 16)",
    "max-len": `${flagTexts.length} (default: 128)`,
    steps: "Observations to time, after one for warm-up (default: 3)",
  },
  options: type({
    "+": "reject",
    model: fields.model,
    "rte?": fields.file,
    "tokenizer?": fields.file,
    samples: fields.batch.default("16"),
    "max-len": fields.length.default("128"),
    steps: fields.steps.default("3"),
  }),
  suite: ["16", "128"].map((samples) => ({ options: { model: "large", samples } })),
  prepare: Effect.fnUntraced(function* ({
    model: size,
    rte,
    tokenizer,
    samples,
    "max-len": maxLength,
    steps,
  }) {
    const material = yield* pairs(rte, { count: samples, maxLength, tokenizer })
    const { sequences, labels, data } = material
    const model = yield* freshModel(size, material.vocabularySize, outputHeads)
    const { config, parameters } = model
    const layers = [...blocksOf(parametersOf(config, outputHeads))].filter(
      ([block]) => layerOf(block) !== undefined,
    )
    const tokens = sequences.ids.length
    const cost = observationCost(
      {
        ...config,
        parameters: parameters.size,
        tokensPerExample: tokens / samples,
        steps: 1,
        warmupSteps: 0,
        batchSize: samples,
        keepsModel: false,
      },
      { samples, layers: true, selfCheck: false, labels: "true", blocks: config.layers },
    )
    return {
      model: size,
      steps,
      tokensPerStep: tokens,
      flopsPerStep: cost.flops,
      facts: { samples, data },
      run: Effect.fnUntraced(function* (lap) {
        yield* lap
        for (let observation = 0; observation <= steps; observation++) {
          const blocks = new Map(layers)
          const grams = blockGrams(blocks, parameterGrams(model, blocks, { sequences, labels }))
          for (const gram of grams.values()) effectiveRank(eigenvalues(gram, samples), 0.99)
          yield* lap
        }
      }),
    }
  }),
})
