import { Effect } from "effect"
import { bench } from "../../core/api/bench.ts"
import { selectSequences } from "../../core/artifacts/sequences.ts"
import { adamw } from "../../core/tensor/optimisers/adamw.ts"
import { stream } from "../../core/tensor/stream.ts"
import { maskedLoss } from "../pretrain/mlm/masked-loss.ts"
import { masker } from "../pretrain/mlm/masking.ts"
import { freshModel } from "./shared/model.ts"
import { onSentences } from "./shared/options.ts"
import { sentences } from "./shared/sequences.ts"
import { trainingJob } from "./shared/training.ts"

export const mlm = bench({
  name: "mlm",
  summary: "Updates of a masked language model over its whole vocabulary",
  ...onSentences("128"),
  prepare: Effect.fnUntraced(function* ({
    model: size,
    corpus,
    tokenizer,
    batch,
    "max-len": maxLength,
    steps,
  }) {
    const material = yield* sentences(corpus, { count: batch * (steps + 1), maxLength, tokenizer })
    const { sequences, special, vocabularySize, data } = material
    const model = yield* freshModel(size, vocabularySize, ["pooler", "maskedLanguageModel"])
    const dropout = { rate: model.config.hiddenDropout, stream: stream(0, "dropout") }
    const mask = masker(special, vocabularySize, 0)
    const masked = Array.from({ length: steps + 1 }, (_, update) => {
      const indices = Int32Array.from({ length: batch }, (_, n) => update * batch + n)
      return mask(selectSequences(sequences, indices), indices, 0)
    })
    const predictions = masked.reduce((sum, { indices }) => sum + indices.length, 0) / masked.length
    return yield* trainingJob(
      {
        model,
        outputHeads: ["pooler", "maskedLanguageModel"],
        batches: masked.map(({ sequences }) => sequences),
        predictions,
        optimiser: adamw({ weightDecay: 0.01 }),
        loss: (update) => maskedLoss(model, masked[update]!, { ...dropout, iteration: update }),
      },
      { model: size, facts: { batch, data, predictions: Math.round(predictions) } },
    )
  }),
})
