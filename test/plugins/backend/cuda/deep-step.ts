/**
 * Prints what updates of fine-tuning ask of the emulated GPU, for models as deep as BERT-large of the given widths, in
 * the precision that is given first: in a process of its own, in which nothing is computed.
 */

import { CString, dlopen, type Pointer, ptr } from "bun:ffi"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { Precision } from "../../../../core/api/precision.ts"
import { Progress } from "../../../../core/api/progress.ts"
import { packSequences } from "../../../../core/artifacts/sequences.ts"
import { adamw } from "../../../../core/tensor/optimisers/adamw.ts"
import { Parameters } from "../../../../core/tensor/parameters.ts"
import { stream } from "../../../../core/tensor/stream.ts"
import { train } from "../../../../core/tensor/training.ts"
import { crossEntropy } from "../../../../plugins/finetune/classification.ts"
import { lossOf } from "../../../../plugins/finetune/shared/classifier.ts"
import { configOf } from "../../../../plugins/model/config.ts"
import { activationBytes } from "../../../../plugins/model/cost.ts"
import { initialise } from "../../../../plugins/model/initialise.ts"
import { countParameters, parametersOf } from "../../../../plugins/model/parameters.ts"
import { snapshotCopies } from "../../../../plugins/probe/shared/snapshot.ts"
import { emulated, startEmulated } from "./emulated.ts"

const [precision, ...widths] = process.argv.slice(2) as [Precision, ...string[]]
await startEmulated({ precision })
const { emulated_cuda_control, emulated_cuda_counts } = dlopen(emulated!.driver, {
  emulated_cuda_control: { args: ["ptr"], returns: "i32" },
  emulated_cuda_counts: { args: [], returns: "ptr" },
}).symbols
const control = (settings: string) => {
  if (emulated_cuda_control(ptr(Buffer.from(`${settings}\0`))) !== 0) throw new Error(settings)
}
const counts = () => JSON.parse(new CString(emulated_cuda_counts() as Pointer).toString())

/** Sixteen pairs as long as RTE's are: 1,040 tokens. */
const lengths = Array.from({ length: 16 }, (_, n) => 35 + 4 * n)
const sequences = packSequences(
  lengths.map((length) => ({ ids: new Int32Array(length).fill(7), tokenTypeIds: new Int32Array(length) })),
)
const split = { sequences, labels: new Float64Array(16) }
const all = Int32Array.from(lengths.keys())
const heads = ["pooler", "classifier"] as const
const counted = 3

control("dry=1 memory=40000000000")
const found = []
for (const hidden of widths.map(Number)) {
  const sizes = { layers: 24, hidden, heads: hidden / 64, intermediate: 4 * hidden }
  const config = { ...configOf("tiny", 1000, 0), ...sizes }
  const specs = parametersOf(config, heads)
  const parameters = Parameters.fromHost(initialise(config, specs, stream(1, "head")))
  const scratch = mkdtempSync(join(tmpdir(), "kasosei-deep-"))
  let step: unknown
  let beside: unknown
  const copies: tf.Tensor[] = []
  await Effect.runPromise(
    train({
      parameters,
      learningRates: new Float64Array(counted + 4).fill(1e-3),
      optimiser: adamw({}),
      clip: 1,
      loss: (update) =>
        lossOf({ config, parameters }, crossEntropy, split, all, { rate: 0.1, seed: 1, update }),
      scratch,
      at: (at) =>
        Effect.sync(() => {
          if (at === counted + 1) {
            step = counts()
            // As for a snapshot that leaves the GPU beside the next updates.
            copies.push(...parameters.names.map((name) => tf.clone(parameters.get(name))))
          }
          if (at === counted + 3) {
            beside = counts()
            tf.dispose(copies)
          }
          control("reset=1")
        }),
    }).pipe(Effect.provideService(Progress, { report: () => Effect.void })),
  )
  parameters.dispose()
  rmSync(scratch, { recursive: true })
  const tokens = lengths.reduce((sum, length) => sum + length, 0)
  const attended = lengths.reduce((sum, length) => sum + length ** 2, 0)
  const estimate =
    16 * countParameters(specs) + activationBytes(config, { sequences: 16, tokens, attended, predictions: 0 })
  found.push({ step, beside, estimate, copies: snapshotCopies(countParameters(specs)) })
}
process.stdout.write(JSON.stringify(found))
