import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { Progress } from "../../../../core/api/progress.ts"
import { packSequences } from "../../../../core/artifacts/sequences.ts"
import { infoNCE } from "../../../../core/tensor/ops/info-nce.ts"
import { adamw } from "../../../../core/tensor/optimisers/adamw.ts"
import { Parameters } from "../../../../core/tensor/parameters.ts"
import { stream } from "../../../../core/tensor/stream.ts"
import { train } from "../../../../core/tensor/training.ts"
import { DeviceBackend } from "../../../../plugins/backend/device/backend.ts"
import { crossEntropy } from "../../../../plugins/finetune/classification.ts"
import { lossOf } from "../../../../plugins/finetune/shared/classifier.ts"
import { configOf, type EncoderConfig } from "../../../../plugins/model/config.ts"
import { forwardCalls, trainingCalls } from "../../../../plugins/model/cost.ts"
import { type EncoderModel, encode, type ModelDropout } from "../../../../plugins/model/encoder.ts"
import { initialise } from "../../../../plugins/model/initialise.ts"
import { blocksOf, layerOf, parametersOf } from "../../../../plugins/model/parameters.ts"
import { maskedLoss } from "../../../../plugins/pretrain/mlm/masked-loss.ts"
import { twoViews } from "../../../../plugins/pretrain/shared/contrastive/views.ts"
import { parameterGrams } from "../../../../plugins/probe/shared/gram/block-grams.ts"
import { observationCost } from "../../../../plugins/probe/shared/gram/cost.ts"
import { onEveryDevice } from "./devices.ts"

const configWith = (layers: number): EncoderConfig => ({
  ...configOf("tiny", 60, 0),
  ...{ layers, hidden: 8, heads: 2, intermediate: 16, positions: 16 },
})
const sequences = packSequences(
  [
    [2, 5, 7],
    [2, 9, 4, 11],
    [2, 3],
  ].map((ids) => ({
    ids: Int32Array.from(ids),
    tokenTypeIds: new Int32Array(ids.length),
  })),
)
const split = { sequences, labels: Float64Array.of(0, 1, 1) }
const all = Int32Array.of(0, 1, 2)
const masked = { sequences, indices: Int32Array.of(1, 4), labels: Int32Array.of(5, 9) }

type Loss = (model: EncoderModel, dropout: ModelDropout) => tf.Scalar
const losses: Readonly<Record<string, Loss>> = {
  "fine-tuning": (model, { iteration }) =>
    lossOf(model, crossEntropy, split, all, { rate: 0.1, seed: 1, update: iteration }),
  SimCSE: (model, dropout) => tf.tidy(() => infoNCE(...twoViews(model, sequences, all, dropout), 0.05)),
  "masked-language-model training": (model, dropout) => maskedLoss(model, masked, dropout),
}

let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "kasosei-calls-"))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

const heads = ["pooler", "classifier", "maskedLanguageModel"] as const
const parametersWith = (config: EncoderConfig): Parameters =>
  Parameters.fromHost(initialise(config, parametersOf(config, heads), stream(1, "head")))

/** Tells `count` the name of each call of the device, until `restore`. */
const watchCalls = (count: (name: string) => void) => {
  const backend = tf.backend()
  if (!(backend instanceof DeviceBackend)) throw new Error("no device is running")
  const table = backend.device as unknown as Record<string, unknown>
  const before = { ...table }
  for (const [name, call] of Object.entries(before)) {
    if (typeof call !== "function") continue
    table[name] = (...args: unknown[]) => {
      count(name)
      return call(...args)
    }
  }
  return { restore: () => Object.assign(table, before) }
}

/** What an update calls of the device after some others, by name. */
const calledIn = async (loss: Loss, layers: number, update = 5): Promise<ReadonlyMap<string, number>> => {
  const config = configWith(layers)
  const parameters = parametersWith(config)
  const counts = new Map<string, number>()
  let now = 0
  const { restore } = watchCalls((name) => {
    if (now === update) counts.set(name, (counts.get(name) ?? 0) + 1)
  })
  try {
    await Effect.runPromise(
      train({
        parameters,
        learningRates: new Float64Array(update + 2).fill(1e-3),
        optimiser: adamw({}),
        clip: 1,
        loss: (iteration) => {
          now = iteration
          return loss({ config, parameters }, { rate: 0.1, stream: stream(1, "dropout"), iteration })
        },
        scratch: join(scratch, `${layers}`),
      }).pipe(Effect.provideService(Progress, { report: () => Effect.void })),
    )
  } finally {
    restore()
    parameters.dispose()
  }
  return counts
}

/** What is planned for may differ by a tenth. */
const isNear = (planned: number, called: number): boolean => Math.abs(planned / called - 1) < 0.1

const memory = ["allocate", "release", "write"]
/** The number of kernels that an update calls. */
const kernelsIn = async (loss: Loss, layers: number) =>
  [...(await calledIn(loss, layers))].reduce((sum, [name, n]) => sum + (memory.includes(name) ? 0 : n), 0)

onEveryDevice("an update", () => {
  test.each(Object.entries(losses))("of %s brings no number to the processor", async (_, loss) => {
    const called = await calledIn(loss, 2)
    expect(called.get("linear")).toBeGreaterThan(8)
    expect(["view", "read", "borrow"].filter((name) => called.has(name))).toEqual([])
  })

  test.each([
    ["fine-tuning", 655],
    ["SimCSE", 658],
    ["masked-language-model training", 657],
  ])("of %s, of as many layers as BERT-large has, calls at most %i kernels", async (name, most) => {
    const [two, three] = [await kernelsIn(losses[name]!, 2), await kernelsIn(losses[name]!, 3)]
    const called = two + 22 * (three - two)
    expect(called).toBeLessThanOrEqual(most)
    expect(isNear(trainingCalls({ layers: 24 }), called)).toBe(true)
  })
})

onEveryDevice("Gram matrices of per-sample gradients", () => {
  const calledOf = (layers: number): readonly string[] => {
    const config = configWith(layers)
    const parameters = parametersWith(config)
    const blocks = new Map(
      [...blocksOf(parametersOf(config, heads))].filter(([block]) => layerOf(block) !== undefined),
    )
    const called: string[] = []
    const { restore } = watchCalls((name) => called.push(name))
    try {
      const labels = Int32Array.of(0, 1, 1)
      expect(parameterGrams({ config, parameters }, blocks, { sequences, labels }).size).toBe(16 * layers)
    } finally {
      restore()
      parameters.dispose()
    }
    return called
  }

  test.each([2, 3])("are brought to the processor all at once, of %i layers", (layers) => {
    const called = calledOf(layers)
    const times = (...names: readonly string[]) => called.filter((name) => names.includes(name)).length
    expect([times("readFloat64"), times("view", "read", "borrow")]).toEqual([1, 0])
    // Of each layer's six linear and two normalisation layers.
    expect([times("gramByTokens", "gramDirectly"), times("gramOfSums")]).toEqual([6 * layers, 10 * layers])
  })

  test("take about as many calls as are planned for, of as many layers as BERT-large has", () => {
    const [two, three] = [2, 3].map(
      (layers) => calledOf(layers).filter((name) => !memory.includes(name)).length,
    )
    const sizes = { ...configWith(24), parameters: 1, tokensPerExample: 3, keepsModel: false }
    const run = { ...sizes, steps: 1, warmupSteps: 0, batchSize: 3 }
    const observed = { samples: 3, layers: true, selfCheck: false, labels: "true", blocks: 24 } as const
    expect(isNear(observationCost(run, observed).calls, two! + 22 * (three! - two!))).toBe(true)
  })
})

onEveryDevice("a forward pass", () => {
  test("takes about as many calls as are planned for, of as many layers as BERT-large has", () => {
    const calledOf = (layers: number): number => {
      const config = configWith(layers)
      const parameters = parametersWith(config)
      let called = 0
      const { restore } = watchCalls((name) => {
        if (!memory.includes(name)) called++
      })
      try {
        tf.dispose(tf.tidy(() => encode({ config, parameters }, sequences)))
      } finally {
        restore()
        parameters.dispose()
      }
      return called
    }
    const [two, three] = [calledOf(2), calledOf(3)]
    expect(isNear(forwardCalls({ layers: 24 }), two + 22 * (three - two))).toBe(true)
  })
})
