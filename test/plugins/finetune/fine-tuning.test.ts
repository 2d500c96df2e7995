import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { join } from "node:path"
import { Effect } from "effect"
import type { CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import { startBackend } from "../../../core/tensor/backend.ts"
import { adafactor } from "../../../core/tensor/optimisers/adafactor.ts"
import { lion } from "../../../core/tensor/optimisers/lion.ts"
import { sgd } from "../../../core/tensor/optimisers/sgd.ts"
import type { HostTensor } from "../../../core/tensor/parameters.ts"
import { mixout } from "../../../core/tensor/parametrisations/mixout.ts"
import { l2SP } from "../../../core/tensor/regularisers/l2-sp.ts"
import { constantSchedule } from "../../../core/tensor/schedules/constant.ts"
import { cosineSchedule } from "../../../core/tensor/schedules/cosine.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { native } from "../../../plugins/backend/native.ts"
import { wasm } from "../../../plugins/backend/wasm.ts"
import { classification } from "../../../plugins/finetune/classification.ts"
import { loadModel } from "../../../plugins/model/hugging-face.ts"
import { initialise } from "../../../plugins/model/initialise.ts"
import { parametersOf } from "../../../plugins/model/parameters.ts"
import { nativeBuilds } from "../../core/tensor/every-definition.ts"
import { tinyConfig } from "../model/tiny-model.ts"
import { completed, fineTuning, type Setting, withCheckpoint, writeCheckpoint } from "./running.ts"

const { root, checkpoint, freshScratch, leftOver, trained: trainedAt } = await withCheckpoint("fine-tuning")

type Values = ReadonlyMap<string, HostTensor>

/** A run, and the parameters at the given step, by default the last. */
const trained = async (options: object, step = 18, setting: Partial<Setting> = {}) => {
  const { run, values } = await trainedAt(options, [step], setting)
  return { run, values: values.get(step)! }
}

const refusal = async (options: object) => {
  const error = await Effect.runPromise(
    Effect.flip(fineTuning({ checkpoint, scratch: freshScratch(), options: { ...options } })),
  )
  return `${error._tag}: ${error.message}`
}

const sameBits = (a: Values, b: Values, part: string): boolean => {
  const names = [...a.keys()].filter((name) => name.includes(part))
  if (names.length === 0) throw new Error(`no parameter of ${part}`)
  return names.every((name) =>
    a.get(name)!.values.every((value, i) => Object.is(value, b.get(name)!.values[i])),
  )
}

/** The Euclidean distance between the parameters whose names contain `part`. */
const distance = (a: Values, b: Values, part: string): number =>
  Math.hypot(
    ...[...a].flatMap(([name, { values }]) =>
      name.includes(part) ? [...values].map((value, i) => value - b.get(name)!.values[i]!) : [],
    ),
  )

const encoderOnly = "bert.encoder"

describe("what is trained", () => {
  test.each<[unknown, readonly string[], readonly string[]]>([
    [0, ["bert.embeddings"], ["layer.0.", "layer.1.", "pooler", "classifier"]],
    [1, ["bert.embeddings", "layer.0."], ["layer.1.", "pooler", "classifier"]],
    [2, ["bert.embeddings", "layer.0.", "layer.1."], ["pooler", "classifier"]],
    [
      ["layer.1", "pooler"],
      ["layer.1.", "pooler"],
      ["bert.embeddings", "layer.0.", "classifier"],
    ],
  ])("with frozen %j the blocks %j keep their bits, and %j move", async (frozen, kept, moved) => {
    const start = await trained({ frozen }, 0)
    const end = await trained({ frozen })
    for (const part of kept) expect(sameBits(start.values, end.values, part)).toBe(true)
    for (const part of moved) expect(sameBits(start.values, end.values, part)).toBe(false)
  })

  test("the forward pass and the streams do not depend on what is frozen", async () => {
    const all = await trained({})
    const some = await trained({ frozen: 1 })
    expect(some.run.loss[0]).toBe(all.run.loss[0]!)
    expect(some.run.gradientNorm[0]).toBeLessThan(all.run.gradientNorm[0]!)
  })

  test("layer-wise decay multiplies each layer's learning rate", async () => {
    const options = { optimiser: sgd({ momentum: 0 }), warmupRatio: 0, lr: 1, clip: 1e6, epochs: 0.1 }
    const start = await trained(options, 0)
    const plain = await trained(options, 1)
    const decayed = await trained({ ...options, layerwiseDecay: 0.5 }, 1)
    const shares = { classifier: 1, pooler: 1, "layer.1.": 1, "layer.0.": 0.5, "bert.embeddings": 0.25 }
    for (const [part, share] of Object.entries(shares)) {
      const ratio = distance(decayed.values, start.values, part) / distance(plain.values, start.values, part)
      expect(ratio).toBeCloseTo(share, 2)
    }
  })

  test.each([
    [{ frozen: 3 }, "frozen must be at most 2, the number of the model's layers (was 3)"],
    [
      { frozen: ["layer.2"] },
      'frozen must name blocks of the model: embeddings, layer.0, layer.1, pooler, classifier (was "layer.2")',
    ],
    [
      { frozen: ["embeddings", "layer.0", "layer.1", "pooler", "classifier"] },
      "frozen must leave a block to train (was all of them)",
    ],
    [{ reinitialise: 3 }, "reinitialise must be at most 2, the number of the model's layers (was 3)"],
  ])("%j is refused before training and in a plan", async (options, message) => {
    expect(await refusal(options)).toBe(`InvalidInput: classification: ${message}`)
    expect(() => estimated(options)).toThrow(message)
  })
})

describe("layers that are drawn anew", () => {
  test("are the pooler and the top layers, from the stream head", async () => {
    const plain = await trained({}, 0)
    const { values } = await trained({ reinitialise: 1 }, 0)
    const config = { ...tinyConfig, labels: ["entailment", "not_entailment"] }
    const specs = parametersOf(config, ["pooler", "classifier"])
    for (const [name, drawn] of initialise(config, specs, stream(1, "head"))) {
      const expected = /pooler|layer\.1\.|classifier/.test(name) ? drawn : plain.values.get(name)!
      expect(values.get(name)!.values).toEqual(expected.values)
    }
    const other = await trained({ reinitialise: 1, seed: 2 }, 0)
    expect(sameBits(values, other.values, "layer.1.")).toBe(false)
    expect(sameBits(values, other.values, "layer.0.")).toBe(true)
  })

  test("may be the pooler alone", async () => {
    const plain = await trained({}, 0)
    const { values } = await trained({ reinitialise: 0 }, 0)
    expect(sameBits(values, plain.values, encoderOnly)).toBe(true)
    expect(sameBits(values, plain.values, "pooler.dense.weight")).toBe(false)
  })
})

describe("a classifier of the checkpoint", () => {
  const classifier = "checkpoint"
  const labels = ["entailment", "not_entailment"]
  let tuned: CheckpointTaken
  beforeAll(async () => {
    tuned = await writeCheckpoint(join(root, "tuned"), { labels }, "BertForSequenceClassification")
  })

  test("is trained on with its pooler, and is as if pretrained", async () => {
    const start = await trained({ classifier }, 0, { checkpoint: tuned })
    const fresh = await trained({}, 0, { checkpoint: tuned })
    const stored = await Effect.runPromise(
      loadModel(tuned.folder, { outputHeads: { pooler: "read", classifier: "read" } }),
    )
    const expected = stored.parameters.toHost()
    stored.parameters.dispose()
    expect(start.values).toEqual(expected)
    expect(sameBits(fresh.values, expected, "pooler")).toBe(true)
    expect(sameBits(fresh.values, expected, "classifier.weight")).toBe(false)
    const end = await trained({ classifier }, 18, { checkpoint: tuned })
    expect(sameBits(end.values, start.values, "classifier")).toBe(false)
    // Only new parameters have this penalty, and now there are none.
    const regulariser = l2SP({ pretrained: 0, drawn: 1e3 })
    const penalised = await trained({ classifier, regulariser }, 0, { checkpoint: tuned })
    expect(penalised.run.gradientNorm[0]).toBe(start.run.gradientNorm[0]!)
  })

  test("is refused where there is none, or one of other labels", async () => {
    const refused = async (from: CheckpointTaken) => {
      const options = { classifier }
      return (
        await Effect.runPromise(
          Effect.flip(fineTuning({ checkpoint: from, scratch: freshScratch(), options })),
        )
      ).message
    }
    expect(await refused(checkpoint)).toContain(
      `${checkpoint.folder}:\n  it has no classifier; expected a fine-tuned model, such as that of modelOf(run) for a run with keepModel: true`,
    )
    const other = { labels: ["not_entailment", "entailment"] }
    const exchanged = await writeCheckpoint(join(root, "exchanged"), other, "BertForSequenceClassification")
    expect(await refused(exchanged)).toBe(
      'classification: the checkpoint\'s classifier must have the outputs entailment, not_entailment, as data are labelled (was not_entailment, entailment); draw one by classifier: "new", or take a checkpoint that was fine-tuned for these labels',
    )
  })
})

describe("L2-SP", () => {
  test("keeps pretrained parameters near the checkpoint and new ones near 0", async () => {
    const options = { lr: 5e-3, clip: 1e6, optimiser: sgd({}) }
    const start = await trained({}, 0)
    const free = await trained(options)
    const pulled = await trained({ ...options, regulariser: l2SP({ pretrained: 50, drawn: 0 }) })
    expect(distance(pulled.values, start.values, encoderOnly)).toBeLessThan(
      0.7 * distance(free.values, start.values, encoderOnly),
    )
    expect(pulled.run.loss[0]).toBe(free.run.loss[0]!)
    const shrunk = await trained({ ...options, regulariser: l2SP({ pretrained: 0, drawn: 50 }) })
    const size = ({ values }: { readonly values: Values }) =>
      Math.hypot(...values.get("classifier.weight")!.values)
    expect(size(shrunk)).toBeLessThan(0.5 * size(free))
  })

  test("treats what is drawn anew as new", async () => {
    // Before the first update only new parameters have a penalty.
    const norm = async (options: object) =>
      (await trained({ dropout: 0, ...options }, 0)).run.gradientNorm[0]!
    const regulariser = l2SP({ pretrained: 1e3, drawn: 0 })
    expect(await norm({ regulariser })).toBe(await norm({}))
    const ofNew = l2SP({ pretrained: 0, drawn: 1e3 })
    const [heads, layer] = [
      await norm({ regulariser: ofNew, reinitialise: 0 }),
      await norm({ regulariser: ofNew, reinitialise: 1 }),
    ]
    // Layer 1 has two scales of LayerNorm with eight ones each, and its weights.
    expect(layer ** 2 - heads ** 2).toBeGreaterThan(16e6)
  })
})

describe("mixout", () => {
  test("begins as the model without it, and differs as soon as weights have moved", async () => {
    const plain = await trained({})
    const mixed = await trained({ parametrisation: mixout({ probability: 0.9 }) })
    expect(mixed.run.loss[0]).toBe(plain.run.loss[0]!)
    expect(mixed.run.gradientNorm[0]).not.toBe(plain.run.gradientNorm[0]!)
    expect(mixed.run.loss.at(-1)).not.toBe(plain.run.loss.at(-1)!)
  })

  test("draws for every seed anew, and not for embeddings and new layers", async () => {
    const parametrisation = mixout({ probability: 0.5 })
    const options = { dropout: 0, parametrisation, frozen: [encoderOnly] }
    const norm = async (more: object) =>
      (await trained({ ...options, frozen: [], ...more }, 0)).run.gradientNorm[0]!
    expect(await norm({ seed: 1 })).not.toBe(await norm({ seed: 2 }))
    // With every layer drawn anew no weight is left to mix.
    const drawn = { reinitialise: 2 }
    expect(await norm(drawn)).toBe((await trained({ dropout: 0, ...drawn }, 0)).run.gradientNorm[0]!)
  })
})

test("the schedule and the optimiser are those that are given", async () => {
  const rates = async (options: object) => [...(await trained(options, 0)).run.learningRate]
  expect(await rates({ schedule: constantSchedule({}) })).toEqual([
    0,
    5e-4,
    ...new Array<number>(16).fill(1e-3),
  ])
  const cosines = await rates({ schedule: cosineSchedule({}), warmupRatio: 0 })
  expect(cosines[0]).toBe(1e-3)
  expect(cosines[9]).toBeCloseTo(5e-4, 12)
  const losses = new Set<number>()
  for (const optimiser of [sgd({}), lion({}), adafactor({})]) {
    losses.add((await trained({ optimiser }, 0)).run.loss.at(-1)!)
  }
  expect(losses.size).toBe(3)
})

test("with everything at once a run that is stopped and resumed has the same bits", async () => {
  const options = {
    optimiser: lion({}),
    schedule: cosineSchedule({}),
    frozen: ["embeddings"],
    layerwiseDecay: 0.9,
    reinitialise: 1,
    regulariser: l2SP({}),
    parametrisation: mixout({ probability: 0.4 }),
  }
  const whole = await trained(options)
  const scratch = freshScratch()
  for (const stop of [5, 11]) {
    const report = (done: number) => (done === stop ? Effect.interrupt : Effect.void)
    await Effect.runPromiseExit(fineTuning({ checkpoint, scratch, options, report }))
    expect(leftOver()).toBe(0)
  }
  let computed = 0
  const report = () => Effect.sync(() => computed++)
  const resumed = await trained(options, 18, { scratch, report })
  expect(resumed).toEqual(whole)
  expect(computed).toBe(7)
})

const estimated = (options: object) => {
  const estimate = classification.estimate as unknown as (
    options: unknown,
    inputs: unknown,
  ) => { readonly cost: Record<"flops" | "memory" | "disk" | "scratch", number> }
  const { layers, hidden, heads, intermediate, vocabularySize, positions } = tinyConfig
  return estimate(completed(classification, { lr: 1e-3, seed: 1, ...options }), {
    data: { train: 21, dev: 12, tokensPerExample: 6, labels: 2, labelKind: "classes", vocabularySize },
    checkpoint: { layers, hidden, heads, intermediate, vocabularySize, positions },
  }).cost
}

test("a plan knows what freezing saves, and what the start of training takes", () => {
  const all = estimated({})
  const some = estimated({ frozen: 1 })
  const top = estimated({ frozen: ["layer.1"] })
  const anchored = estimated({ regulariser: l2SP({}) })
  expect(some.flops).toBeLessThan(all.flops)
  expect(top.flops).toBe(all.flops)
  for (const part of ["memory", "scratch"] as const) {
    expect(some[part]).toBeLessThan(all[part])
    expect(top[part]).toBeLessThan(all[part])
  }
  expect(anchored.memory).toBeGreaterThan(all.memory)
  expect(anchored.scratch).toBe(all.scratch)
})

describe.skipIf(!nativeBuilds)("on native", () => {
  beforeAll(() => Effect.runPromise(startBackend(native)))
  afterAll(() => Effect.runPromise(startBackend(wasm)))

  test("all of it agrees with wasm", async () => {
    const options = {
      frozen: 1,
      regulariser: l2SP({}),
      parametrisation: mixout({ probability: 0.4 }),
      optimiser: sgd({}),
      lr: 1e-2,
    }
    const found = await trained(options)
    await Effect.runPromise(startBackend(wasm))
    const expected = await trained(options)
    await Effect.runPromise(startBackend(native))
    for (const [i, loss] of expected.run.loss.entries()) expect(found.run.loss[i]).toBeCloseTo(loss, 5)
    expect(distance(found.values, expected.values, "")).toBeLessThan(1e-4)
  })
})
