import { Effect } from "effect"
import { UnitFailure } from "../../../core/api/failure.ts"
import { type Split, selectExamples } from "../../../core/artifacts/examples.ts"
import { permutation } from "../../../core/tensor/stream.ts"
import type { ClassifierView } from "../../model/view.ts"

/**
 * Training examples that the seed draws without replacement: the same at every step, in every arm and for every probe,
 * and fewer are the first of more.
 *
 * @throws UnitFailure if there are fewer examples than samples
 */
export const drawSamples = (
  { train, stream, step }: Pick<ClassifierView, "train" | "stream" | "step">,
  samples: number,
): Effect.Effect<Split, UnitFailure> => {
  const { length } = train.labels
  if (samples > length) {
    const reason = `samples: expected at most ${length}, the number of training examples, found ${samples}`
    return Effect.fail(new UnitFailure({ outcome: "failed", reason, step }))
  }
  return Effect.succeed(selectExamples(train, permutation(stream, length, 0).subarray(0, samples)))
}
