/** A branch is the run that it comes from up to its step, to the bit, and from there on what it would have been. */
import { afterAll, describe, expect, test } from "bun:test"
import { cpSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { startBackend } from "../../../core/tensor/backend.ts"
import { adamw } from "../../../core/tensor/optimisers/adamw.ts"
import { lion } from "../../../core/tensor/optimisers/lion.ts"
import { sgd } from "../../../core/tensor/optimisers/sgd.ts"
import { mixout } from "../../../core/tensor/parametrisations/mixout.ts"
import { l2SP } from "../../../core/tensor/regularisers/l2-sp.ts"
import { learningRates } from "../../../core/tensor/schedule.ts"
import { constantSchedule } from "../../../core/tensor/schedules/constant.ts"
import { cosineSchedule } from "../../../core/tensor/schedules/cosine.ts"
import { linearSchedule } from "../../../core/tensor/schedules/linear.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import { native } from "../../../plugins/backend/native.ts"
import { wasm } from "../../../plugins/backend/wasm.ts"
import { classification } from "../../../plugins/finetune/classification.ts"
import { nativeBuilds } from "../../core/tensor/every-definition.ts"
import { tinyConfig } from "../model/tiny-model.ts"
import { completed, fineTuning, type Setting, withCheckpoint } from "./running.ts"

const { checkpoint, freshScratch, leftOver, trained: trainedAt } = await withCheckpoint("branch")

/** 21 examples in batches of 4, 3 epochs: 18 updates, of which 2 are warm-up. */
const steps = 18
const warmup = 2
const at = 7

/** A run, and its parameters at these steps, by default the last. */
const trained = (options: object, watched: readonly number[] = [steps], setting: Partial<Setting> = {}) =>
  trainedAt(options, watched, setting)

const branched = (set: object, from = at) => ({ branch: [{ at: from, set }] })

const refusal = async (options: object) =>
  (
    await Effect.runPromise(
      Effect.flip(fineTuning({ checkpoint, scratch: freshScratch(), options: { ...options } })),
    )
  ).message

/** Every option that can change, each with another value than the run's. */
const changes: Readonly<Record<string, object>> = {
  lr: { lr: 5e-3 },
  seed: { seed: 9 },
  warmupRatio: { warmupRatio: 0.8 },
  schedule: { schedule: constantSchedule({}) },
  optimiser: { optimiser: sgd({ momentum: 0.9 }) },
  "the optimiser's options": { optimiser: adamw({ biasCorrection: false, beta1: 0.5 }) },
  clip: { clip: 1e-3 },
  dropout: { dropout: 0 },
  frozen: { frozen: 1 },
  layerwiseDecay: { layerwiseDecay: 0.1 },
  regulariser: { regulariser: l2SP({ pretrained: 1, drawn: 1 }) },
  parametrisation: { parametrisation: mixout({ probability: 0.5 }) },
}

const original = await trained({}, [at, steps])

describe("a branch", () => {
  test("that changes nothing is the run itself, to the bit", async () => {
    for (const from of [0, 1, at, steps]) {
      expect(await trained(branched({}, from), [at, steps])).toEqual(original)
    }
  })

  test.each(Object.entries(changes))(
    "that changes %s is the run up to its step, and then another",
    async (_, set) => {
      const { run, values } = await trained(branched(set), [at, steps])
      expect(values.get(at)).toEqual(original.values.get(at)!)
      for (const part of ["loss", "gradientNorm", "learningRate"] as const) {
        expect(run[part].subarray(0, at)).toEqual(original.run[part].subarray(0, at))
      }
      expect(values.get(steps)).not.toEqual(original.values.get(steps)!)
      expect([run.steps, run.warmupSteps, run.seed]).toEqual([steps, warmup, 1])
    },
  )

  const { seed: _seed, ...fromTheStart } = changes
  test.each(Object.entries(fromTheStart))(
    "from step 0 that changes %s is the run that always had it",
    async (_, set) => {
      const always = await trained({ ...set, keepModel: false })
      expect(await trained(branched(set, 0))).toEqual(always)
    },
  )

  const { lr, seed, schedule, clip, dropout, regulariser, parametrisation, layerwiseDecay } = changes
  test.each(
    Object.entries({ lr, seed, schedule, clip, dropout, regulariser, parametrisation, layerwiseDecay }),
  )("that changes %s goes on as a run of that kind resumed from the state of the first", async (_, set) => {
    const scratch = freshScratch()
    const report = (done: number) => (done === at ? Effect.interrupt : Effect.void)
    await Effect.runPromiseExit(fineTuning({ checkpoint, scratch, report }))
    const resumed = await trained({ ...set }, [steps], { scratch })
    const { run, values } = await trained(branched(set!), [steps])
    expect(run.loss).toEqual(resumed.run.loss)
    expect(run.gradientNorm).toEqual(resumed.run.gradientNorm)
    expect(values).toEqual(resumed.values)
    expect(run.predictions).toEqual(resumed.run.predictions)
  })

  test("at the end of the run leaves its result", async () => {
    const { run, values } = await trained(branched({ lr: 1, optimiser: lion({}) }, steps), [steps])
    expect(values.get(steps)).toEqual(original.values.get(steps)!)
    expect(run).toEqual(original.run)
  })

  test("keeps the blocks that it freezes, and trains those that it frees", async () => {
    const pooler = "bert.pooler.dense.weight"
    const embeddings = "bert.embeddings.word_embeddings.weight"
    const options = { frozen: ["pooler"], ...branched({ frozen: ["embeddings"] }) }
    const { values } = await trained(options, [0, at, steps])
    const [start, middle, end] = [0, at, steps].map((step) => values.get(step)!)
    expect(middle!.get(pooler)).toEqual(start!.get(pooler)!)
    expect(end!.get(pooler)).not.toEqual(start!.get(pooler)!)
    expect(middle!.get(embeddings)).not.toEqual(start!.get(embeddings)!)
    expect(end!.get(embeddings)).toEqual(middle!.get(embeddings)!)
  })

  test("with null drops a regulariser and a parametrisation", async () => {
    const options = { regulariser: l2SP({}), parametrisation: mixout({ probability: 0.5 }) }
    const none = { regulariser: null, parametrisation: null }
    expect(await trained({ ...options, ...branched(none, 0) })).toEqual(await trained({}))
    const { run } = await trained({ ...options, ...branched(none) })
    const always = await trained(options)
    expect(run.loss.subarray(0, at + 1)).not.toEqual(original.run.loss.subarray(0, at + 1))
    expect(run.loss.subarray(0, at)).toEqual(always.run.loss.subarray(0, at))
    expect(run.loss[at]).not.toBe(always.run.loss[at]!)
  })
})

describe("the learning rate", () => {
  const ratesOf = async (options: object) => [...(await trained(options, [0])).run.learningRate]
  const linear = learningRates(linearSchedule({}), 1e-3, steps, warmup)

  test("goes on with the schedule from where it is, whatever changes", async () => {
    const halved = await ratesOf(branched({ lr: 5e-4 }))
    for (const [update, rate] of linear.entries()) {
      expect(halved[update]).toBeCloseTo(update < at ? rate : rate / 2, 12)
    }
    const cosine = learningRates(cosineSchedule({}), 1e-3, steps, warmup)
    expect(await ratesOf(branched({ schedule: cosineSchedule({}) }))).toEqual([
      ...linear.subarray(0, at),
      ...cosine.subarray(at),
    ])
  })

  test.each([
    [5, 30],
    [1.5, 9],
  ])("of a run of %p epochs from a step on is that of a run of this length", async (epochs, length) => {
    const other = learningRates(linearSchedule({}), 1e-3, length, Math.ceil(0.1 * length))
    const { run } = await trained(branched({ epochs }), [length])
    expect([...run.learningRate]).toEqual([...linear.subarray(0, at), ...other.subarray(at)])
    expect([run.steps, run.warmupSteps, run.loss.length]).toEqual([length, warmup, length])
    expect(run.loss.subarray(0, at)).toEqual(original.run.loss.subarray(0, at))
  })

  test("a run that has ended goes on if it is made longer", async () => {
    const { run, values } = await trained(branched({ epochs: 4 }, steps), [steps, 24])
    expect(values.get(steps)).toEqual(original.values.get(steps)!)
    expect(run.loss.subarray(0, steps)).toEqual(original.run.loss)
    expect(run.loss.length).toBe(24)
    expect(values.get(24)).not.toEqual(values.get(steps)!)
  })
})

describe("a branch of a branch", () => {
  const first = { at: 7, set: { lr: 5e-4, clip: 0.5 } }

  test("is the first one up to its step, and from there on has both changes", async () => {
    const second = { at: 11, set: { lr: 2e-3 } }
    const once = await trained({ branch: [first] }, [11])
    const twice = await trained({ branch: [first, second] }, [11, steps])
    expect(twice.values.get(11)).toEqual(once.values.get(11)!)
    expect(twice.run.loss.subarray(0, 11)).toEqual(once.run.loss.subarray(0, 11))
    const given = { branch: [first, { at: 11, set: { ...first.set, ...second.set } }] }
    expect(await trained(given, [11, steps])).toEqual(twice)
  })

  test("before its change keeps that change, except where the later branch sets the same", async () => {
    const twice = await trained({ branch: [first, { at: 4, set: { lr: 2e-3, dropout: 0 } }] })
    const given = { at: 4, set: { lr: 2e-3, dropout: 0 } }
    expect(await trained({ branch: [given, { at: 7, set: { clip: 0.5 } }] })).toEqual(twice)
  })

  test("at its step has the changes of both", async () => {
    const twice = await trained({ branch: [first, { at: 7, set: { lr: 1e-4 } }] })
    expect(await trained(branched({ lr: 1e-4, clip: 0.5 }))).toEqual(twice)
  })
})

test("a branch that is stopped before, at and after its step is resumed to the same bits", async () => {
  const options = {
    frozen: ["pooler"],
    branch: [
      { at: 5, set: { optimiser: lion({}), frozen: 1, regulariser: l2SP({}) } },
      {
        at: 9,
        set: { optimiser: lion({ beta1: 0.5 }), frozen: [], parametrisation: mixout({ probability: 0.4 }) },
      },
      {
        at: 12,
        set: { optimiser: sgd({ momentum: 0.9 }), dropout: 0, regulariser: null, seed: 4, epochs: 4 },
      },
    ],
  }
  const whole = await trained(options, [24])
  const scratch = freshScratch()
  for (const stop of [3, 5, 6, 9, 10, 12, 13]) {
    const report = (done: number) => (done === stop ? Effect.interrupt : Effect.void)
    await Effect.runPromiseExit(fineTuning({ checkpoint, scratch, options, report }))
    expect(leftOver()).toBe(0)
  }
  let computed = 0
  const report = () => Effect.sync(() => computed++)
  expect(await trained(options, [24], { scratch, report })).toEqual(whole)
  expect(computed).toBe(24 - 13)
})

test("a damaged state after a change starts over, to the same bits", async () => {
  const options = branched({ optimiser: lion({}), frozen: 1 })
  const whole = await trained(options)
  const [scratch, other] = [freshScratch(), freshScratch()]
  const report = (done: number) => (done === 9 ? Effect.interrupt : Effect.void)
  await Effect.runPromiseExit(fineTuning({ checkpoint, scratch, options, report }))
  // The state of step 9 under the name of step 4: before the change, the optimiser keeps other tensors.
  cpSync(join(scratch, "unit", "training-9"), join(other, "unit", "training-4"), { recursive: true })
  expect(await trained(options, [steps], { scratch: other })).toEqual(whole)
})

test("probes watch a branch through its change, and a replay for them gives the same", async () => {
  const options = branched({ dropout: 0, optimiser: sgd({}) })
  const { values } = await trained(options, [3, at, 12])
  const replayed = await trained(options, [3, at, 12], { wanted: false })
  expect(replayed.values).toEqual(values)
  expect(replayed.run.loss.length).toBe(12)
})

describe("a branch is refused", () => {
  test.each<[object, string]>([
    [branched({}, 19), "branch: step 19 is beyond the end of the run, step 18"],
    [branched({ epochs: 1 }), "branch: with epochs=1 the run would end at step 6, before step 7"],
    [branched({ frozen: 3 }), "frozen must be at most 2, the number of the model's layers (was 3)"],
    [
      branched({ frozen: ["layer.7"] }),
      'frozen must name blocks of the model: embeddings, layer.0, layer.1, pooler, classifier (was "layer.7")',
    ],
    [
      { branch: [...branched({ epochs: 2 }).branch, { at: 13, set: {} }] },
      "branch: step 13 is beyond the end of the run, step 12",
    ],
  ])("%j, before training and in a plan", async (options, message) => {
    expect(await refusal(options)).toBe(`classification: ${message}`)
    expect(() => estimated(options)).toThrow(message)
  })
})

const estimated = (options: object) => {
  const estimate = classification.estimate as unknown as (
    options: unknown,
    inputs: unknown,
  ) => {
    readonly artifact: { readonly steps: number; readonly warmupSteps: number }
    readonly cost: Record<"flops" | "memory" | "disk" | "scratch", number>
    readonly replay: { readonly length: object; readonly flopsPerStep: number }
  }
  const { layers, hidden, heads, intermediate, vocabularySize, positions } = tinyConfig
  return estimate(completed(classification, { lr: 1e-3, seed: 1, batchSize: 4, ...options }), {
    data: { train: 21, dev: 12, tokensPerExample: 6, labels: 2, labelKind: "classes", vocabularySize },
    checkpoint: { layers, hidden, heads, intermediate, vocabularySize, positions },
  })
}

test("a plan knows what a branch takes: all of its updates, from the start", () => {
  const run = estimated({})
  expect(estimated(branched({ lr: 5e-4 }))).toEqual(run)
  const longer = estimated(branched({ epochs: 6 }))
  expect(longer.artifact).toMatchObject({ steps: 36, warmupSteps: warmup })
  expect(longer.replay.length).toEqual({ steps: 36, warmupSteps: warmup })
  expect(longer.cost.disk - run.cost.disk).toBe(18 * 3 * 8)
  // Frozen layers save arithmetic from the branch on, a third of the way for a branch at a third.
  const [none, third] = [estimated({ frozen: 2 }), estimated(branched({ frozen: 2 }, 6))]
  const saved = run.cost.flops - none.cost.flops
  expect((run.cost.flops - third.cost.flops) / saved).toBeCloseTo(2 / 3, 6)
  expect(third.cost.scratch).toBe(run.cost.scratch)
  expect(estimated(branched({ regulariser: l2SP({}) })).cost.memory).toBe(
    estimated({ regulariser: l2SP({}) }).cost.memory,
  )
})

describe.each([cpu, ...(nativeBuilds ? [native] : [])])("on another backend", (backend) => {
  afterAll(() => Effect.runPromise(startBackend(wasm)))

  test(`${backend.name}: the same, to its own bits`, async () => {
    await Effect.runPromise(startBackend(backend))
    const run = await trained({}, [at, steps])
    expect(await trained(branched({}), [at, steps])).toEqual(run)
    const { values } = await trained(branched({ lr: 5e-4, dropout: 0, optimiser: sgd({}) }), [at, steps])
    expect(values.get(at)).toEqual(run.values.get(at)!)
    expect(values.get(steps)).not.toEqual(run.values.get(steps)!)
  })
})
