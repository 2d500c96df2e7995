/**
 * Trains a small model for a step in every precision on the emulated GPU, and computes Gram matrices by both methods and
 * InfoNCE. Prints a digest of all that for each precision, and how often each kernel was launched.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { Progress } from "../../../../core/api/progress.ts"
import { packSequences, selectSequences } from "../../../../core/artifacts/sequences.ts"
import { sha256 } from "../../../../core/io/digest.ts"
import { infoNCE } from "../../../../core/tensor/ops/info-nce.ts"
import { adamw } from "../../../../core/tensor/optimisers/adamw.ts"
import { Parameters, valueAndGradients } from "../../../../core/tensor/parameters.ts"
import { stream } from "../../../../core/tensor/stream.ts"
import { train } from "../../../../core/tensor/training.ts"
import { crossEntropy } from "../../../../plugins/finetune/classification.ts"
import { lossOf } from "../../../../plugins/finetune/shared/classifier.ts"
import { configOf } from "../../../../plugins/model/config.ts"
import { initialise } from "../../../../plugins/model/initialise.ts"
import { blocksOf, parametersOf } from "../../../../plugins/model/parameters.ts"
import { parameterGrams } from "../../../../plugins/probe/shared/gram/block-grams.ts"
import { noise } from "../../../core/tensor/against-float64.ts"
import { emulated, emulatedEnvironment, startEmulated } from "./emulated.ts"
import { Host } from "./emulator/host.ts"

export interface Report {
  readonly digests: Readonly<Record<string, string>>
  readonly launches: Readonly<Record<string, number>>
}

if (emulated === undefined) throw new Error("there is no emulator here")
Object.assign(process.env, emulatedEnvironment())

/** Odd sizes: rows that cannot be read four at a time, and heads that fill no tile. */
const config = {
  ...configOf("tiny", 23, 0),
  layers: 2,
  hidden: 36,
  heads: 2,
  intermediate: 70,
  positions: 40,
}
const specs = parametersOf(config, ["pooler", "classifier"])
const items = Array.from({ length: 5 }, (_, n) => {
  const ids = Int32Array.from({ length: 1 + 9 * n }, (_, i) => (7 * i + 3 * n) % 23)
  return { ids, tokenTypeIds: new Int32Array(ids.length) }
})
const split = { sequences: packSequences(items), labels: Float64Array.of(0, 1, 1, 0, 1) }
const everything = Int32Array.of(0, 1, 2, 3, 4)
const values = [...initialise(config, specs, stream(3, "head"))]
const blocks = blocksOf(specs)
const columns = {
  sequences: selectSequences(split.sequences, everything),
  labels: Int32Array.of(0, 1, 1, 0, 1),
}
const scratch = await mkdtemp(join(tmpdir(), "kasosei-every-kernel-"))

const computed = async (): Promise<string> => {
  const parameters = Parameters.fromHost(values)
  const metrics = await Effect.runPromise(
    train({
      parameters,
      learningRates: Float64Array.of(1e-3, 1e-3),
      optimiser: adamw({ biasCorrection: false }),
      clip: 1,
      loss: (update) =>
        lossOf({ config, parameters }, crossEntropy, split, everything, { rate: 0.1, seed: 1, update }),
      scratch,
    }).pipe(Effect.provideService(Progress, Progress.of({ report: () => Effect.void }))),
  )
  const grams = (["token", "direct"] as const).map((method) =>
    [...parameterGrams({ config, parameters }, blocks, columns, method).values()].map((gram) => [...gram]),
  )
  const views = Parameters.fromHost(
    ["z1", "z2"].map((name, site) => [name, { shape: [6, 20], values: noise(site, 120) }] as const),
  )
  const { value, gradients } = valueAndGradients(() => infoNCE(views.get("z1"), views.get("z2"), 0.05), views)
  const contrastive = [value, ...gradients.values()].map((tensor) => [...tensor.dataSync()])
  const all = [...parameters.toHost().values()].map(({ values }) => [...values])
  tf.dispose([value, ...gradients.values()])
  parameters.dispose()
  views.dispose()
  return sha256(JSON.stringify([[...metrics.loss], grams, contrastive, all]))
}

const digests: Record<string, string> = {}
const host = new Host(emulated)
await startEmulated()
// There is a cuBLASLt, which has no algorithm for any product.
host.control("products=none reset=1")
for (const precision of ["fp32", "tf32", "bf16"] as const) {
  await startEmulated({ precision })
  digests[precision] = await computed()
}
await rm(scratch, { recursive: true, force: true })
const { launches } = host.counts()
console.log(JSON.stringify({ digests, launches } satisfies Report))
