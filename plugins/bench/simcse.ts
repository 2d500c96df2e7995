import { Effect } from "effect"
import { bench } from "../../core/api/bench.ts"
import { selectSequences } from "../../core/artifacts/sequences.ts"
import { stream } from "../../core/tensor/stream.ts"
import { contrastiveLoss } from "../pretrain/simcse/contrastive.ts"
import { freshModel } from "./shared/model.ts"
import { onSentences } from "./shared/options.ts"
import { sentences } from "./shared/sequences.ts"
import { trainingJob } from "./shared/training.ts"

export const simcse = bench({
  name: "simcse",
  summary: "Updates of unsupervised SimCSE: every sentence twice, InfoNCE at temperature 0.05",
  ...onSentences("32"),
  prepare: Effect.fnUntraced(function* ({
    model: size,
    corpus,
    tokenizer,
    batch,
    "max-len": maxLength,
    steps,
  }) {
    const material = yield* sentences(corpus, { count: batch * (steps + 1), maxLength, tokenizer })
    const { sequences, data } = material
    const model = yield* freshModel(size, material.vocabularySize, ["pooler"])
    const dropout = { rate: model.config.hiddenDropout, stream: stream(0, "dropout") }
    const indicesOf = (update: number) => Int32Array.from({ length: batch }, (_, n) => update * batch + n)
    return yield* trainingJob(
      {
        model,
        outputHeads: ["pooler"],
        batches: Array.from({ length: steps + 1 }, (_, update) =>
          selectSequences(sequences, [...indicesOf(update), ...indicesOf(update)]),
        ),
        predictions: 0,
        optimiser: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, biasCorrection: true },
        loss: (update) =>
          contrastiveLoss(model, sequences, indicesOf(update), { ...dropout, iteration: update }, 0.05),
      },
      { model: size, facts: { batch, data } },
    )
  }),
})
