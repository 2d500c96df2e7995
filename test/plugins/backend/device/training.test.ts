import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import type { Precision } from "../../../../core/api/precision.ts"
import { Progress } from "../../../../core/api/progress.ts"
import { packSequences, selectSequences } from "../../../../core/artifacts/sequences.ts"
import { type Backend, type ComputeSettings, startBackend } from "../../../../core/tensor/backend.ts"
import { adamw } from "../../../../core/tensor/optimisers/adamw.ts"
import { Parameters } from "../../../../core/tensor/parameters.ts"
import { learningRates } from "../../../../core/tensor/schedule.ts"
import { linearSchedule } from "../../../../core/tensor/schedules/linear.ts"
import { integers, stream } from "../../../../core/tensor/stream.ts"
import { train } from "../../../../core/tensor/training.ts"
import { native } from "../../../../plugins/backend/native.ts"
import { wasm } from "../../../../plugins/backend/wasm.ts"
import { crossEntropy } from "../../../../plugins/finetune/classification.ts"
import { lossOf } from "../../../../plugins/finetune/shared/classifier.ts"
import { configOf } from "../../../../plugins/model/config.ts"
import { initialise } from "../../../../plugins/model/initialise.ts"
import { blocksOf, layerOf, parametersOf } from "../../../../plugins/model/parameters.ts"
import { blockGrams, parameterGrams } from "../../../../plugins/probe/shared/gram/block-grams.ts"
import { effectiveRank } from "../../../../plugins/probe/shared/rank.ts"
import { eigenvalues } from "../../../../plugins/probe/shared/spectrum.ts"
import { nativeBuilds } from "../../../core/tensor/every-definition.ts"
import { emulated, startEmulated } from "../cuda/emulated.ts"

const config = {
  ...configOf("tiny", 60, 0),
  layers: 2,
  hidden: 48,
  heads: 3,
  intermediate: 96,
  positions: 32,
}
const heads = ["pooler", "classifier"] as const
const [count, batchSize, steps] = [96, 12, 40]

/** The label is whether a sequence begins with a token id below 30: something to learn. */
const draws = stream(1, "test")
const items = Array.from({ length: count }, (_, n) => {
  const ids = integers({ stream: draws, site: n, iteration: 0 }, 4 + (n % 23), config.vocabularySize)
  return { ids, tokenTypeIds: new Int32Array(ids.length) }
})
const split = {
  sequences: packSequences(items),
  labels: Float64Array.from(items, ({ ids }) => (ids[0]! < 30 ? 0 : 1)),
}

let scratch: string
let runs = 0
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "kasosei-training-"))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

const emulatedGpu = "cuda, emulated"

/**
 * The losses of training, the final parameters, and the effective ranks of the layers at the end.
 *
 * @param after runs after each update, by its number
 * @param until the number of updates that are made
 */
const trained = async (
  backend: Backend | typeof emulatedGpu,
  computing: Partial<ComputeSettings>,
  seed: number,
  after: (step: number) => Effect.Effect<void> = () => Effect.void,
  until = steps,
) => {
  if (backend === emulatedGpu) await startEmulated(computing)
  else await Effect.runPromise(startBackend(backend, computing))
  const specs = parametersOf(config, heads)
  const parameters = Parameters.fromHost(initialise(config, specs, stream(seed, "head")))
  const model = { config, parameters }
  const metrics = await Effect.runPromise(
    train({
      parameters,
      learningRates: learningRates(linearSchedule({}), 2e-3, steps, 4),
      until,
      optimiser: adamw({ biasCorrection: false }),
      clip: 1,
      loss: (update) => {
        const indices = Int32Array.from({ length: batchSize }, (_, n) => (update * batchSize + n) % count)
        return lossOf(model, crossEntropy, split, indices, { rate: 0.1, seed, update })
      },
      scratch: join(scratch, `${runs++}`),
    }).pipe(Effect.provideService(Progress, Progress.of({ report: after }))),
  )
  const blocks = new Map([...blocksOf(specs)].filter(([block]) => layerOf(block) !== undefined))
  const indices = Int32Array.from({ length: 16 }, (_, n) => n)
  const batch = {
    sequences: selectSequences(split.sequences, indices),
    labels: Int32Array.from(split.labels.subarray(0, 16)),
  }
  const grams = blockGrams(blocks, parameterGrams(model, blocks, batch))
  const ranks = [...grams.values()].map((gram) => effectiveRank(eigenvalues(gram, 16), 0.99))
  const values = [...parameters.toHost().values()].map(({ values }) => values)
  parameters.dispose()
  return { losses: [...metrics.loss], ranks, values }
}

const meanDistance = (left: readonly number[], right: readonly number[]): number =>
  left.reduce((sum, loss, update) => sum + Math.abs(loss - right[update]!), 0) / left.length

describe.skipIf(!nativeBuilds)("training on native", () => {
  test("agrees with training on wasm, with ranks that differ by at most 1", async () => {
    const [onNative, onWasm] = [await trained(native, {}, 3), await trained(wasm, {}, 3)]
    // Rounding differs, and forty updates without bias correction amplify the differences.
    expect(meanDistance(onNative.losses, onWasm.losses)).toBeLessThan(1e-3)
    expect(onNative.losses[0]).toBeCloseTo(onWasm.losses[0]!, 5)
    for (const [layer, rank] of onNative.ranks.entries()) {
      expect(Math.abs(rank - onWasm.ranks[layer]!)).toBeLessThanOrEqual(1)
    }
  })

  test("gives the same bits when repeated, and on one thread and two", async () => {
    const [one, two, again] = [
      await trained(native, { threads: 1 }, 3),
      await trained(native, { threads: 2 }, 3),
      await trained(native, { threads: 2 }, 3),
    ]
    expect(two).toEqual(one)
    expect(again).toEqual(one)
  })

  test("gives the same bits when the number of threads changes from 1 to 2 and back while it runs", async () => {
    const had: number[] = []
    const changing = (step: number) => {
      if (step % 7 !== 0) return Effect.void
      const threads = had.at(-1) === 2 ? 1 : 2
      had.push(threads)
      return native.setThreads!(threads)
    }
    const changed = await trained(native, { threads: 1 }, 3, changing)
    expect(had).toEqual([2, 1, 2, 1, 2])
    expect(changed).toEqual(await trained(native, { threads: 1 }, 3))
  })

  test("in bf16 stays closer to fp32 than another seed does", async () => {
    const fp32 = await trained(native, {}, 3)
    const bf16 = await trained(native, { precision: "bf16" }, 3)
    const others = [await trained(native, {}, 4), await trained(native, {}, 5)]
    const spread = Math.min(...others.map(({ losses }) => meanDistance(losses, fp32.losses)))
    expect(meanDistance(bf16.losses, fp32.losses)).toBeLessThan(spread)
    expect(bf16.losses).not.toEqual(fp32.losses)
  })
})

describe.skipIf(emulated === undefined || !nativeBuilds)("training on cuda, emulated", () => {
  const made = new Map<Precision, ReturnType<typeof trained>>()
  /** Half a training, since an emulated GPU takes its time; made once. */
  const half = (precision: Precision) => {
    const known = made.get(precision) ?? trained(emulatedGpu, { precision }, 3, undefined, steps / 2)
    made.set(precision, known)
    return known
  }

  test("agrees with training on native, with ranks that differ by at most 1", async () => {
    const [onGpu, onNative] = [await half("fp32"), await trained(native, {}, 3, undefined, steps / 2)]
    expect(meanDistance(onGpu.losses, onNative.losses)).toBeLessThan(1e-3)
    expect(onGpu.losses[0]).toBeCloseTo(onNative.losses[0]!, 5)
    for (const [layer, rank] of onGpu.ranks.entries()) {
      expect(Math.abs(rank - onNative.ranks[layer]!)).toBeLessThanOrEqual(1)
    }
  })

  test.each(["fp32", "tf32", "bf16"] as const)(
    "in %s gives the same bits when repeated",
    async (precision) => {
      const again = await trained(emulatedGpu, { precision }, 3, undefined, 5)
      expect(again.losses).toEqual((await half(precision)).losses.slice(0, 5))
    },
  )

  test("in tf32 is closer to fp32 than in bf16, and in bf16 closer than another seed", async () => {
    const [fp32, tf32, bf16] = [await half("fp32"), await half("tf32"), await half("bf16")]
    const others = [await trained(native, {}, 4), await trained(native, {}, 5)]
    const spread = Math.min(...others.map(({ losses }) => meanDistance(fp32.losses, losses)))
    expect(meanDistance(tf32.losses, fp32.losses)).toBeLessThan(meanDistance(bf16.losses, fp32.losses))
    expect(meanDistance(bf16.losses, fp32.losses)).toBeLessThan(spread)
  })
})
