import { Effect } from "effect"
import { check } from "../../core/api/check.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { compareFineTuning } from "./reference/fine-tuning.ts"
import { compareFisher } from "./reference/fisher.ts"
import { comparePasses, openReference } from "./reference/passes.ts"

/** All comparisons with a folder of reference figures, on the running backend. */
export const reference = check({
  name: "reference",
  summary:
    "Logits, loss, gradients, InfoNCE, effective ranks, and a short fine-tuning run with its trajectory",
  compare: (folder, precision) =>
    Effect.gen(function* () {
      const opened = yield* openReference(folder)
      const passes = yield* comparePasses(opened, precision)
      const fisher = yield* compareFisher(opened, precision)
      // Fine-tuning changes the model, so it comes last.
      const fineTuning = yield* compareFineTuning(opened, precision)
      return [...passes, ...fisher, ...fineTuning]
    }).pipe(
      Effect.scoped,
      Effect.catchTag("UnitFailure", (failure) =>
        Effect.fail(new InvalidInput({ what: folder, problems: [`fine-tuning failed: ${failure.message}`] })),
      ),
    ),
})
