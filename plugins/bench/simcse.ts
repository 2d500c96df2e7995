import { Effect } from "effect"
import { bench } from "../../core/api/bench.ts"
import { selectSequences } from "../../core/artifacts/sequences.ts"
import { infoNCE } from "../../core/tensor/ops/info-nce.ts"
import { adamw } from "../../core/tensor/optimisers/adamw.ts"
import { stream } from "../../core/tensor/stream.ts"
import { twoViews } from "../pretrain/shared/contrastive/views.ts"
import { freshModel } from "./shared/model.ts"
import { onSentences } from "./shared/options.ts"
import { sentences } from "./shared/sequences.ts"
import { trainingJob } from "./shared/training.ts"

export const simcse = bench({
  name: "simcse",
  summary: "Updates of unsupervised SimCSE: every sentence twice, InfoNCE at temperature 0.05",
  ...onSentences("32"),
  suite: [{ options: { model: "large", batch: "64", steps: "24" } }],
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
        optimiser: adamw({ epsilon: 1e-8 }),
        loss: (update) => {
          const [first, second] = twoViews(model, sequences, indicesOf(update), {
            ...dropout,
            iteration: update,
          })
          return infoNCE(first, second, 0.05)
        },
      },
      { model: size, facts: { batch, data } },
    )
  }),
})
