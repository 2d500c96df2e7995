/** Times training: the same loop as in the plugins, from a newly drawn model. */
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { BenchJob } from "../../../core/api/bench.ts"
import type { Sequences } from "../../../core/artifacts/sequences.ts"
import { attempt, remove } from "../../../core/io/files.ts"
import type { Optimiser } from "../../../core/tensor/optimiser.ts"
import { learningRates } from "../../../core/tensor/schedule.ts"
import { linearSchedule } from "../../../core/tensor/schedules/linear.ts"
import { train } from "../../../core/tensor/training.ts"
import { trainingFlops } from "../../model/cost.ts"
import type { TrainableModel } from "../../model/encoder.ts"
import type { OutputHead } from "../../model/parameters.ts"

interface Measured {
  readonly model: TrainableModel
  readonly outputHeads: readonly OutputHead[]
  /** The encoder's input in each update. */
  readonly batches: readonly Sequences[]
  readonly predictions: number
  readonly optimiser: Optimiser
  readonly loss: (update: number) => tf.Scalar
}

const lr = 1e-5

export const trainingJob = Effect.fnUntraced(function* (
  { model, outputHeads, batches, predictions, optimiser, loss }: Measured,
  about: Pick<BenchJob, "model" | "facts">,
) {
  const steps = batches.length
  const scratch = yield* Effect.acquireRelease(
    attempt("make a folder in", tmpdir(), () => mkdtemp(join(tmpdir(), "kasosei-"))),
    (folder) => Effect.orDie(remove(folder)),
  )
  const lengths = batches.flatMap(({ offsets }) =>
    Array.from(offsets.subarray(1), (end, n) => end - offsets[n]!),
  )
  const tokens = lengths.reduce((sum, length) => sum + length, 0) / steps
  const attended = lengths.reduce((sum, length) => sum + length ** 2, 0) / steps
  const workload = { sequences: lengths.length / steps, tokens, attended, predictions }
  return {
    ...about,
    steps: steps - 1,
    tokensPerStep: tokens,
    flopsPerStep: trainingFlops(model.config, outputHeads, workload),
    run: (lap) =>
      Effect.asVoid(
        train({
          parameters: model.parameters,
          learningRates: learningRates(linearSchedule({}), lr, steps, 0),
          optimiser,
          clip: 1,
          loss,
          scratch,
          // An update has ended when the device has done it, not when it was told to.
          at: (_, last) => Effect.andThen(last, lap),
        }),
      ),
  } satisfies BenchJob
})
