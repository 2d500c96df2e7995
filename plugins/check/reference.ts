import { Effect } from "effect"
import type { Check } from "../../core/check.ts"
import { InvalidInput } from "../../core/decode.ts"
import { compareFineTuning } from "../finetune/reference.ts"
import { comparePasses, openReference } from "../model/reference.ts"
import { compareFisher } from "../probe/fisher/reference.ts"

/** Everything that a folder of reference figures holds, on the running backend. */
export const reference: Check = {
  check: "reference figures",
  summary: "logits, loss, gradients, InfoNCE, effective ranks, and a short fine-tuning with its trajectory",
  compare: (folder) =>
    Effect.gen(function* () {
      const opened = yield* openReference(folder)
      const passes = yield* comparePasses(opened)
      const fisher = yield* compareFisher(opened)
      // Fine-tuning changes the model, so it comes last.
      const fineTuning = yield* compareFineTuning(opened)
      return [...passes, ...fisher, ...fineTuning]
    }).pipe(
      Effect.scoped,
      Effect.catchTag("UnitFailure", (failure) =>
        Effect.fail(new InvalidInput({ what: folder, problems: [`its fine-tuning ${failure.message}`] })),
      ),
    ),
}
