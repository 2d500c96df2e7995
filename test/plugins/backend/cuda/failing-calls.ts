/**
 * Makes every call of the driver and of cuBLASLt fail once, on the emulated GPU: those of the start, those of a short
 * training with Gram matrices, and those of products of a new shape. Prints what `failures.test.ts` looks at.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { Progress } from "../../../../core/api/progress.ts"
import { packSequences, selectSequences } from "../../../../core/artifacts/sequences.ts"
import { transferKernel } from "../../../../core/tensor/borrow.ts"
import { digestsKernel } from "../../../../core/tensor/digests.ts"
import { adamw } from "../../../../core/tensor/optimisers/adamw.ts"
import { Parameters } from "../../../../core/tensor/parameters.ts"
import { stream } from "../../../../core/tensor/stream.ts"
import { train } from "../../../../core/tensor/training.ts"
import { cudaAddon } from "../../../../plugins/backend/cuda/addon.ts"
import { compilersFor } from "../../../../plugins/backend/cuda/compile.ts"
import { loadCudaAddon } from "../../../../plugins/backend/cuda/device.ts"
import { DeviceBackend } from "../../../../plugins/backend/device/backend.ts"
import { addonPath } from "../../../../plugins/backend/device/build.ts"
import { crossEntropy } from "../../../../plugins/finetune/classification.ts"
import { lossOf } from "../../../../plugins/finetune/shared/classifier.ts"
import { configOf } from "../../../../plugins/model/config.ts"
import { initialise } from "../../../../plugins/model/initialise.ts"
import { blocksOf, layerOf, parametersOf } from "../../../../plugins/model/parameters.ts"
import { parameterGrams } from "../../../../plugins/probe/shared/gram/block-grams.ts"
import { emulated, emulatedEnvironment, startEmulated } from "./emulated.ts"
import { type Counts, Host } from "./emulator/host.ts"

/** What was seen while calls failed in turn. */
export interface Sweep {
  /** How many calls there were to fail. */
  readonly calls: number
  /** The messages, each once. */
  readonly messages: readonly string[]
  /** Calls whose failure was not told, or after which something was left or other numbers came. */
  readonly wrong: readonly string[]
}

export interface Report {
  readonly start: Sweep
  readonly training: Readonly<Record<string, Sweep>>
  readonly products: Sweep
}

if (emulated === undefined) throw new Error("there is no emulator here")
Object.assign(process.env, emulatedEnvironment())
const host = new Host(emulated)
const addon = loadCudaAddon(await Effect.runPromise(addonPath(cudaAddon)))

const callsIn = ({ calls }: Counts): number => Object.values(calls).reduce((sum, count) => sum + count, 0)

/**
 * @param body of which one call fails: the n-th, until there are no more
 * @param after what is wrong, once no call fails any more
 * @param every of how many calls one fails
 */
const sweep = async (
  code: number,
  body: (n: number) => unknown,
  after: (n: number) => unknown,
  every = 1,
): Promise<Sweep> => {
  const messages = new Set<string>()
  const wrong: string[] = []
  for (let n = 1; ; n += every) {
    host.control(`reset=1 fail=${n}:${code}`)
    let message: string | undefined
    try {
      await body(n)
    } catch (error) {
      message = String(error instanceof Error ? error.message : error).split("\n", 1)[0]!
      messages.add(message)
    }
    const calls = callsIn(host.counts())
    host.control("fail=0")
    const left = await after(n)
    if (left !== undefined) wrong.push(`call ${n} (${message}): ${JSON.stringify(left)}`)
    if (calls < n) return { calls, messages: [...messages].sort(), wrong }
  }
}

const [failed, noMemory] = [999, 2]

const findGpu = () => addon.find(emulated!.driver)
findGpu()
const { compilers } = await compilersFor(addon, 90, 12_100)
const image = await compilers[0]!.compile()

const none = (live: Counts["live"]) => Object.values(live).some((count) => count > 0)
const start = await sweep(
  failed,
  () => {
    findGpu()
    addon.start()
    try {
      addon.load(image)
    } finally {
      addon.stop()
    }
  },
  () => {
    const { live } = host.counts()
    return none(live) ? live : undefined
  },
)

const config = {
  ...configOf("tiny", 20, 0),
  layers: 1,
  hidden: 16,
  heads: 2,
  intermediate: 24,
  positions: 12,
}
const specs = parametersOf(config, ["pooler", "classifier"])
const items = Array.from({ length: 4 }, (_, n) => {
  const ids = Int32Array.from({ length: 3 + n }, (_, i) => (7 * i + 3 * n) % 20)
  return { ids, tokenTypeIds: new Int32Array(ids.length) }
})
const split = { sequences: packSequences(items), labels: Float64Array.of(0, 1, 1, 0) }
const values = [...initialise(config, specs, stream(3, "head"))]
const blocks = new Map([...blocksOf(specs)].filter(([block]) => layerOf(block) !== undefined))
const scratch = await mkdtemp(join(tmpdir(), "kasosei-failures-"))
const pair = {
  sequences: selectSequences(split.sequences, Int32Array.of(0, 3)),
  labels: Int32Array.of(0, 0),
}

/** The loss, the parameters after an update as they are written to files, their digests, and Gram matrices. */
const trained = async (): Promise<string> => {
  const parameters = Parameters.fromHost(values)
  try {
    const metrics = await Effect.runPromise(
      train({
        parameters,
        learningRates: Float64Array.of(1e-3),
        optimiser: adamw({ biasCorrection: false }),
        clip: 1,
        loss: (update) =>
          lossOf({ config, parameters }, crossEntropy, split, Int32Array.of(0, 1, 2, 3), {
            rate: 0.1,
            seed: 1,
            update,
          }),
        scratch,
      }).pipe(Effect.provideService(Progress, Progress.of({ report: () => Effect.void }))),
    )
    const grams = parameterGrams({ config, parameters }, blocks, pair)
    const tensors = parameters.names.map((name) => parameters.get(name))
    if ((await digestsKernel(tensors)).length !== tensors.length) throw new Error("a digest is missing")
    const all: number[] = []
    for await (const piece of transferKernel(tensors)!) all.push(...piece)
    return JSON.stringify([[...metrics.loss], [...grams.values()].map((gram) => [...gram]), all])
  } finally {
    parameters.dispose()
  }
}

await startEmulated()
const backend = tf.findBackend("cuda")
if (!(backend instanceof DeviceBackend)) throw new Error("the backend is not running")
const held = () => {
  const { live } = host.counts()
  return {
    tensors: tf.memory().numTensors,
    data: backend.numDataIds(),
    bytes: backend.device.bytesInUse(),
    modules: live.modules,
    others: live.contexts + live.streams + live.events + live.pinned,
  }
}
const training: Record<string, Sweep> = {}
for (const [name, precision, products, code, every] of [
  ["bfloat16, by kernels of our own", "bf16", "none", failed, 1],
  ["float32, by cuBLASLt", "fp32", "all", noMemory, 3],
] as const) {
  await startEmulated({ precision })
  host.control(`products=${products}`)
  const expected = await trained()
  const before = JSON.stringify(held())
  const look = async (n: number) => {
    const now = JSON.stringify(held())
    if (now !== before) return { before, now }
    return n % 8 !== 0 || (await trained()) === expected ? undefined : "other numbers"
  }
  training[name] = await sweep(code, trained, look, every)
}

/** [2, n + 2] by its transpose: of ones, so that each number is n + 2. */
const product = (n: number): Float32Array => {
  const a = tf.ones([2, n + 2])
  try {
    return tf.tidy(() => tf.matMul(a, a, false, true).dataSync() as Float32Array)
  } finally {
    a.dispose()
  }
}
host.control("products=all")
await startEmulated()
const before = JSON.stringify(held())
const products = await sweep(failed, product, (n) => {
  const now = JSON.stringify(held())
  if (now !== before) return { before, now }
  const found = product(n)
  return found.every((value) => value === n + 2) ? undefined : [...found]
})

await rm(scratch, { recursive: true, force: true })
console.log(JSON.stringify({ start, training, products } satisfies Report))
