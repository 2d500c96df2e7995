import { type } from "arktype"
import { Effect } from "effect"
import { bench } from "../../core/api/bench.ts"
import { selectSequences } from "../../core/artifacts/sequences.ts"
import { adamw } from "../../core/tensor/optimisers/adamw.ts"
import { crossEntropy } from "../finetune/classification.ts"
import { lossOf } from "../finetune/shared/classifier.ts"
import { freshModel } from "./shared/model.ts"
import { fields, flagTexts } from "./shared/options.ts"
import { pairs } from "./shared/sequences.ts"
import { trainingJob } from "./shared/training.ts"

export const finetune = bench({
  name: "finetune",
  summary: "Updates of a classifier on pairs of sentences: forward, backward, clipping, AdamW",
  flags: {
    model: flagTexts.model,
    rte: flagTexts.rte,
    tokenizer: flagTexts.tokenizer,
    batch: `${flagTexts.batch} (default: 16)`,
    "max-len": `${flagTexts.length} (default: 128)`,
    steps: flagTexts.steps,
  },
  options: type({
    "+": "reject",
    model: fields.model,
    "rte?": fields.file,
    "tokenizer?": fields.file,
    batch: fields.batch.default("16"),
    "max-len": fields.length.default("128"),
    steps: fields.steps.default("12"),
  }),
  suite: [
    { options: { model: "base", batch: "16" }, byThreads: true },
    { options: { model: "large", batch: "16", steps: "24" } },
  ],
  prepare: Effect.fnUntraced(function* ({ model: size, rte, tokenizer, batch, "max-len": maxLength, steps }) {
    const count = batch * (steps + 1)
    const material = yield* pairs(rte, { count, maxLength, tokenizer })
    const { sequences, data } = material
    const split = { sequences, labels: Float64Array.from(material.labels) }
    const model = yield* freshModel(size, material.vocabularySize, ["pooler", "classifier"])
    const rate = model.config.hiddenDropout
    const indicesOf = (update: number) => Int32Array.from({ length: batch }, (_, n) => update * batch + n)
    return yield* trainingJob(
      {
        model,
        outputHeads: ["pooler", "classifier"],
        batches: Array.from({ length: steps + 1 }, (_, update) =>
          selectSequences(sequences, indicesOf(update)),
        ),
        predictions: 0,
        optimiser: adamw({ biasCorrection: false }),
        loss: (update) => lossOf(model, crossEntropy, split, indicesOf(update), { rate, seed: 0, update }),
      },
      { model: size, facts: { batch, data } },
    )
  }),
})
