import { describe, expect, test } from "bun:test"
import { readdir, rm, truncate, writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Cause, Data, Deferred, Effect, Exit, Fiber, Logger, Option } from "effect"
import { TestClock } from "effect/testing"
import { UnitFailure } from "../../../core/api/failure.ts"
import { Progress } from "../../../core/api/progress.ts"
import { adamw } from "../../../core/tensor/optimisers/adamw.ts"
import { sgd } from "../../../core/tensor/optimisers/sgd.ts"
import { Parameters } from "../../../core/tensor/parameters.ts"
import { learningRates } from "../../../core/tensor/schedule.ts"
import { linearSchedule } from "../../../core/tensor/schedules/linear.ts"
import { normal, stream } from "../../../core/tensor/stream.ts"
import { type Training, train } from "../../../core/tensor/training.ts"
import { withTrainingFolder } from "./training-folder.ts"

let scratch: string
withTrainingFolder((folder) => {
  scratch = folder
})

const optimiser = adamw({ biasCorrection: false })
const steps = 12

const freshParameters = () =>
  Parameters.fromHost([
    ["weight", { shape: [2, 3], values: Float32Array.of(0.5, -1, 2, 0.25, 1, -0.75) }],
    ["bias", { shape: [3], values: Float32Array.of(0.1, 0, -0.2) }],
  ])

/** What an update adds to the gradient: different for every update, always the same for one. */
const noiseOf = (iteration: number, size: number) =>
  normal({ stream: stream(5, "test"), site: size, iteration }, size, 2)

/** ½ Σ w² + Σ noise · w: its gradient is w + noise. */
const noisyLoss =
  (parameters: Parameters) =>
  (update: number): tf.Scalar =>
    tf.tidy(() =>
      parameters.names
        .map((name) => parameters.get(name))
        .map((w): tf.Scalar => {
          const noise = tf.tensor(noiseOf(update, w.size), w.shape)
          return tf.sum(tf.add(tf.mul(tf.square(w), 0.5), tf.mul(w, noise)))
        })
        .reduce((sum, next) => tf.add(sum, next)),
    )

type Settings<E, R> = Partial<Omit<Training<E, R>, "parameters" | "scratch">>

const trainingOf = <E = never, R = never>(
  parameters: Parameters,
  settings: Settings<E, R> = {},
): Training<E, R> => ({
  parameters,
  learningRates: learningRates(linearSchedule({}), 0.05, steps, 3),
  optimiser,
  clip: 1,
  loss: noisyLoss(parameters),
  scratch,
  ...settings,
})

const silent = Effect.provideService(Progress, { report: () => Effect.void })
/** Warnings are part of what is expected in some tests, not of their output. */
const quiet = Effect.provide(Logger.layer([]))

/** Trains fresh parameters; returns their values and the metrics. */
const trained = async <E = never>(settings: Settings<E, never> = {}) => {
  const parameters = freshParameters()
  try {
    const metrics = await Effect.runPromise(train(trainingOf(parameters, settings)).pipe(silent, quiet))
    return { metrics, values: parameters.toHost() }
  } finally {
    parameters.dispose()
  }
}

describe("updates", () => {
  test("are AdamW without bias correction after clipping, as computed in float64", async () => {
    const { metrics, values } = await trained()
    const fresh = freshParameters()
    const start = fresh.toHost()
    fresh.dispose()
    const theta = new Map([...start].map(([name, { values }]) => [name, Float64Array.from(values)]))
    const m = new Map([...theta].map(([name, { length }]) => [name, new Float64Array(length)]))
    const v = new Map([...theta].map(([name, { length }]) => [name, new Float64Array(length)]))
    const norms: number[] = []
    for (let s = 0; s < steps; s++) {
      const gradients = new Map(
        [...theta].map(([name, w]) => {
          const noise = noiseOf(s, w.length)
          return [name, w.map((value, i) => value + noise[i]!)]
        }),
      )
      const norm = Math.hypot(...[...gradients.values()].flatMap((g) => [...g]))
      norms.push(norm)
      const lr = 0.05 * (s < 3 ? s / 3 : (steps - s) / (steps - 3))
      for (const [name, w] of theta) {
        for (const i of w.keys()) {
          const g = gradients.get(name)![i]! * Math.min(1, 1 / (norm + 1e-6))
          const first = m.get(name)!
          const second = v.get(name)!
          first[i] = 0.9 * first[i]! + 0.1 * g
          second[i] = 0.999 * second[i]! + 0.001 * g * g
          w[i] = w[i]! - (lr * first[i]!) / (Math.sqrt(second[i]!) + 1e-6)
        }
      }
    }
    expect(norms.every((norm) => norm > 1)).toBe(true)
    for (const [name, w] of theta) {
      const found = values.get(name)!.values
      for (const [i, value] of w.entries()) expect(found[i]).toBeCloseTo(value, 5)
    }
    for (const [s, norm] of norms.entries()) expect(metrics.gradientNorm[s]).toBeCloseTo(norm, 4)
    expect(metrics.learningRate).toEqual(learningRates(linearSchedule({}), 0.05, steps, 3))
  })

  // |Δθ| / lr = (1 − .9ᵗ) / √(1 − .999ᵗ): the amplification that makes fine-tuning unstable.
  test("under a constant gradient are amplified according to the closed form", async () => {
    const parameters = Parameters.fromHost([["w", { shape: [], values: Float32Array.of(0) }]])
    const positions: number[] = []
    await Effect.runPromise(
      train({
        ...trainingOf(parameters),
        learningRates: new Float64Array(468).fill(1),
        clip: 10,
        loss: () => tf.mul(parameters.get<tf.Scalar>("w"), -1),
        at: () => Effect.sync(() => positions.push(parameters.get("w").dataSync()[0]!)),
      }).pipe(silent),
    )
    parameters.dispose()
    const moved = (t: number) => positions[t]! - positions[t - 1]!
    for (const [t, expected] of [
      [1, 3.162],
      [12, 6.569],
      [47, 4.633],
      [468, 1.635],
    ] as const) {
      expect(moved(t)).toBeCloseTo(expected, 2)
      expect(moved(t)).toBeCloseTo((1 - 0.9 ** t) / Math.sqrt(1 - 0.999 ** t), 2)
    }
  })

  test("with bias correction start with one as long as the learning rate", async () => {
    const parameters = Parameters.fromHost([["w", { shape: [], values: Float32Array.of(0) }]])
    await Effect.runPromise(
      train({
        ...trainingOf(parameters),
        learningRates: Float64Array.of(0.25),
        optimiser: adamw({ epsilon: 1e-8 }),
        loss: () => tf.mul(parameters.get<tf.Scalar>("w"), 3),
      }).pipe(silent),
    )
    expect(parameters.get("w").dataSync()[0]).toBeCloseTo(-0.25, 5)
    parameters.dispose()
  })

  test("give the same bits every time", async () => {
    const first = await trained()
    await rm(scratch, { recursive: true })
    expect(await trained()).toEqual(first)
  })
})

describe("an observer of training", () => {
  test("sees the model before the first update and after each, with the metrics of the update", async () => {
    const seen: (readonly [number, number | undefined, number | undefined])[] = []
    const reported: string[] = []
    const parameters = freshParameters()
    const metrics = await Effect.runPromise(
      train(
        trainingOf(parameters, {
          at: (step, last) =>
            Effect.map(last, (last) => void seen.push([step, last?.loss, last?.learningRate])),
        }),
      ).pipe(
        Effect.provideService(Progress, {
          report: (done, total, note) => Effect.sync(() => reported.push(`${done}/${total} ${note}`)),
        }),
      ),
    )
    parameters.dispose()
    expect(seen).toHaveLength(steps + 1)
    expect(seen[0]).toEqual([0, undefined, undefined])
    expect(seen[1]).toEqual([1, metrics.loss[0]!, 0])
    expect(seen[steps]).toEqual([steps, metrics.loss[steps - 1]!, metrics.learningRate[steps - 1]!])
    expect(reported).toHaveLength(steps)
    expect(reported[steps - 1]).toBe(`12/12 loss ${metrics.loss[steps - 1]!.toFixed(4)}`)
  })

  test("can have it stop early: the updates are the first ones of full training", async () => {
    const whole = await trained()
    await rm(scratch, { recursive: true })
    const part = await trained({ until: 5 })
    expect(part.metrics.loss).toEqual(whole.metrics.loss.subarray(0, 5))
    expect(part.metrics.learningRate).toEqual(whole.metrics.learningRate.subarray(0, 5))
    expect(part.metrics.gradientNorm).toHaveLength(5)
    await rm(scratch, { recursive: true })
    expect((await trained({ until: 0 })).metrics.loss).toHaveLength(0)
  })
})

describe("training that is stopped", () => {
  /** Trains until the model at `step` is observed, and interrupts the fibre there. */
  const interruptAt = async (step: number) => {
    const parameters = freshParameters()
    await Effect.runPromise(
      Effect.gen(function* () {
        const reached = yield* Deferred.make<void>()
        const at = (now: number) =>
          now === step ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
        const fiber = yield* Effect.forkChild(train(trainingOf(parameters, { at })))
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
      }).pipe(silent),
    )
    parameters.dispose()
  }

  /** Trains, recording the updates that are computed. */
  const resumed = async () => {
    const computed: number[] = []
    const visited: number[] = []
    const parameters = freshParameters()
    const noisy = noisyLoss(parameters)
    const loss = (update: number) => {
      computed.push(update)
      return noisy(update)
    }
    const at = (step: number) => Effect.sync(() => visited.push(step))
    const metrics = await Effect.runPromise(train(trainingOf(parameters, { loss, at })).pipe(silent, quiet))
    const values = parameters.toHost()
    parameters.dispose()
    return { computed, visited, outcome: { metrics, values } }
  }

  const from = (step: number) => Array.from({ length: steps - step }, (_, i) => step + i)

  test("gives the same bits when resumed, at whatever step", async () => {
    const whole = await trained()
    for (let step = 0; step <= steps; step++) {
      await rm(scratch, { recursive: true })
      await interruptAt(step)
      expect(await readdir(scratch)).toEqual([`training-${step}`])
      const { computed, visited, outcome } = await resumed()
      expect(outcome).toEqual(whole)
      expect(computed).toEqual(from(step))
      expect(visited).toEqual([...from(step), steps])
    }
  })

  test("gives the same bits when stopped again and again", async () => {
    const whole = await trained()
    await rm(scratch, { recursive: true })
    for (const step of [2, 3, 7, 11]) await interruptAt(step)
    expect(await readdir(scratch)).toEqual(["training-11"])
    expect((await resumed()).outcome).toEqual(whole)
  })

  test("can be interrupted between any two updates, without an observer", async () => {
    const parameters = freshParameters()
    const noisy = noisyLoss(parameters)
    let computed = 0
    const loss = (update: number) => {
      computed++
      return noisy(update % steps)
    }
    const endless = trainingOf(parameters, { loss, learningRates: new Float64Array(1e6).fill(1e-6) })
    await Effect.runPromise(
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(train(endless))
        while (computed < 5) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
      }).pipe(silent),
    )
    parameters.dispose()
    expect(computed).toBeLessThan(10)
    expect(await readdir(scratch)).toEqual([`training-${computed}`])
  })

  class Crash extends Data.TaggedError("Crash") {}

  test("by a crash resumes from what was saved in the minute before", async () => {
    const whole = await trained()
    await rm(scratch, { recursive: true })
    const parameters = freshParameters()
    const at = (step: number) =>
      Effect.gen(function* () {
        yield* TestClock.adjust("25 seconds")
        // The date is corrected, which says nothing about how long it has trained.
        yield* TestClock.setTime(0)
        if (step === 9) return yield* new Crash()
      })
    const crash = train(trainingOf(parameters, { at })).pipe(silent, Effect.flip)
    expect(await Effect.runPromise(Effect.provide(crash, TestClock.layer()))).toBeInstanceOf(Crash)
    parameters.dispose()
    // A minute has passed at steps 3 and 6.
    expect(await readdir(scratch)).toEqual(["training-6"])
    const { computed, outcome } = await resumed()
    expect(computed).toEqual(from(6))
    expect(outcome).toEqual(whole)
  })

  test("saves no state before what goes on beside it has settled", async () => {
    const found: (readonly string[])[] = []
    const settled = Effect.promise(async () => void found.push(await readdir(scratch).catch(() => [])))
    const parameters = freshParameters()
    const at = (step: number) => (step === 2 ? Effect.interrupt : Effect.void)
    await Effect.runPromiseExit(train(trainingOf(parameters, { at, settled })).pipe(silent))
    parameters.dispose()
    expect(found).toEqual([[]])
    expect(await readdir(scratch)).toEqual(["training-2"])
  })

  test("while it saved does not read the state that was cut off", async () => {
    const whole = await trained()
    await rm(scratch, { recursive: true })
    await interruptAt(4)
    await writeFile(join(scratch, "training-9.0badcafe.tmp"), "half of a state")
    const { computed, outcome } = await resumed()
    expect(computed).toEqual(from(4))
    expect(outcome).toEqual(whole)
  })

  test.each([
    ["tensors cut short", "tensors.safetensors", 200],
    ["metrics cut short", "loss.f64", 8],
    ["an empty state", "state.json", 0],
  ])("starts over if its state is damaged (%s)", async (_, file, length) => {
    const whole = await trained()
    await rm(scratch, { recursive: true })
    await interruptAt(4)
    await truncate(join(scratch, "training-4", file), length)
    const { computed, outcome } = await resumed()
    expect(computed).toEqual(from(0))
    expect(outcome).toEqual(whole)
    expect(await readdir(scratch)).toEqual([])
  })

  test("starts over if the state is that of another model", async () => {
    const whole = await trained()
    await rm(scratch, { recursive: true })
    const other = Parameters.fromHost([["weight", { shape: [3, 2], values: new Float32Array(6) }]])
    const at = (step: number) => (step === 2 ? Effect.interrupt : Effect.void)
    await Effect.runPromiseExit(train(trainingOf(other, { at, loss: noisyLoss(other) })).pipe(silent))
    other.dispose()
    expect(await readdir(scratch)).toEqual(["training-2"])
    const { computed, outcome } = await resumed()
    expect(computed).toEqual(from(0))
    expect(outcome).toEqual(whole)
  })

  test("starts over if the state is beyond the step at which it now ends", async () => {
    await interruptAt(6)
    const part = await trained({ until: 4 })
    await rm(scratch, { recursive: true, force: true })
    expect(part).toEqual(await trained({ until: 4 }))
  })
})

describe("training that runs ahead of what it reads", () => {
  const read = (_: number, last: Effect.Effect<unknown, UnitFailure>) => Effect.asVoid(last)

  test("gives the same numbers as when all is read after every update", async () => {
    const whole = await trained()
    await rm(scratch, { recursive: true })
    expect(await trained({ at: read })).toEqual(whole)
  })

  test("reads at the first update, after eight others, at the end, and where a visit asks", async () => {
    const readAt = async (settings: Settings<UnitFailure, never>) => {
      const parameters = freshParameters()
      const found: number[] = []
      let step = 0
      const noisy = noisyLoss(parameters)
      const loss = (update: number) => {
        step = update + 1
        return noisy(update)
      }
      const { dataSync } = tf.Tensor.prototype
      tf.Tensor.prototype.dataSync = function (this: tf.Tensor) {
        if (this.size === 1) found.push(step)
        return dataSync.call(this)
      } as typeof dataSync
      try {
        const endless = { loss, learningRates: new Float64Array(20).fill(0.01), ...settings }
        await Effect.runPromise(train(trainingOf(parameters, endless)).pipe(silent))
      } finally {
        tf.Tensor.prototype.dataSync = dataSync
        parameters.dispose()
        await rm(scratch, { recursive: true })
      }
      return [...new Set(found)]
    }
    expect(await readAt({ optimiser })).toEqual([1, 9, 17, 20])
    const asking = (step: number, last: Effect.Effect<unknown, UnitFailure>) =>
      step === 4 ? Effect.asVoid(last) : Effect.void
    expect(await readAt({ optimiser, at: asking })).toEqual([1, 4, 12, 20])
  })

  /** Trains on losses of which one update's is not finite, or its gradient is not. */
  const diverging = async (
    bad: number,
    what: "loss" | "gradient",
    settings: Settings<UnitFailure, never> = {},
  ) => {
    const tensors = tf.memory().numTensors
    const parameters = freshParameters()
    const noisy = noisyLoss(parameters)
    const loss = (update: number): tf.Scalar =>
      tf.tidy(() => {
        if (update !== bad) return noisy(update)
        if (what === "loss") return tf.mul(noisy(update), Number.NaN)
        const w = parameters.get("weight")
        return tf.add(noisy(update), tf.sum(tf.sqrt(tf.mul(w, tf.sub(w, w)))))
      })
    const exit = await Effect.runPromiseExit(
      train(trainingOf(parameters, { loss, ...settings })).pipe(silent, quiet),
    )
    const values = parameters.toHost()
    parameters.dispose()
    expect(tf.memory().numTensors).toBe(tensors)
    return { exit, values }
  }
  const failureOf = (exit: Exit.Exit<unknown, unknown>) =>
    Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined

  describe.each([
    ["adamw", optimiser],
    ["sgd", sgd({})],
  ] as const)("and diverges, by %s,", (_, optimiser) => {
    test.each(
      Array.from({ length: steps }, (_, update) => [update, update % 2 === 0 ? "loss" : "gradient"] as const),
    )("leaves the model of step %i, whose %s is not finite", async (update, what) => {
      const { values } = await trained({ optimiser, until: update })
      await rm(scratch, { recursive: true, force: true })
      const found = await diverging(update, what, { optimiser })
      expect(failureOf(found.exit)).toMatchObject({ outcome: "diverged", step: update })
      expect(`${failureOf(found.exit)}`).toContain(
        what === "loss" ? "the loss is NaN" : "the gradient norm is",
      )
      expect(found.values).toEqual(values)
    })

    test("leaves it too if updates are made in another way before it is found", async () => {
      const { values } = await trained({ optimiser, until: 3 })
      await rm(scratch, { recursive: true, force: true })
      const changes = [{ from: 5, newState: true, optimiser: sgd({ momentum: 0.5 }), clip: 1 }]
      const found = await diverging(3, "loss", { optimiser, changes })
      expect(failureOf(found.exit)).toMatchObject({ outcome: "diverged", step: 3 })
      expect(found.values).toEqual(values)
    })
  })

  test("shows no visit that asks for the metrics a model of after that", async () => {
    const visited: number[] = []
    const at = (step: number, last: Effect.Effect<unknown, UnitFailure>) =>
      step % 3 === 0 ? Effect.map(last, () => void visited.push(step)) : Effect.void
    const { exit } = await diverging(4, "gradient", { at })
    expect(failureOf(exit)).toMatchObject({ outcome: "diverged", step: 4 })
    expect(visited).toEqual([0, 3])
  })

  test("saves nothing of after that when it is stopped before it is found, and finds it when resumed", async () => {
    const { values } = await trained({ until: 4 })
    await rm(scratch, { recursive: true, force: true })
    for (const stop of [3, 6, 7]) {
      const at = (step: number) => (step === stop ? Effect.interrupt : Effect.void)
      const { exit } = await diverging(4, "loss", { at })
      expect(Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)).toBe(true)
      // That of the first stop.
      expect(await readdir(scratch)).toEqual(["training-3"])
    }
    const found = await diverging(4, "loss")
    expect(failureOf(found.exit)).toMatchObject({ outcome: "diverged", reason: "the loss is NaN", step: 4 })
    expect(found.values).toEqual(values)
  })
})

describe("training that diverges", () => {
  const failing = (loss: (parameters: Parameters, update: number) => tf.Scalar) => {
    const parameters = freshParameters()
    return Effect.runPromise(
      train(trainingOf(parameters, { loss: (update) => loss(parameters, update) })).pipe(
        silent,
        Effect.flip,
        Effect.ensuring(Effect.sync(() => parameters.dispose())),
      ),
    )
  }
  const after = (step: number, then: (parameters: Parameters) => tf.Scalar) =>
    failing((parameters, now) => (now < step ? noisyLoss(parameters)(now) : tf.tidy(() => then(parameters))))

  test.each([
    ["is not a number", Number.NaN, "the loss is NaN"],
    ["is infinite", Number.POSITIVE_INFINITY, "the loss is Infinity"],
  ])("fails before the update whose loss %s", async (_, factor, reason) => {
    const failure = await after(5, (parameters) =>
      tf.mul(tf.sum(tf.square(parameters.get("weight"))), factor),
    )
    expect(failure).toBeInstanceOf(UnitFailure)
    expect(failure).toMatchObject({ outcome: "diverged", reason, step: 5 })
  })

  test("fails before the update whose gradient is not finite, though its loss is", async () => {
    // The derivative of the square root at 0 is infinite.
    const failure = await after(2, (parameters) =>
      tf.sum(
        tf.sqrt(tf.mul(parameters.get("weight"), parameters.get("weight").sub(parameters.get("weight")))),
      ),
    )
    expect(failure).toMatchObject({ outcome: "diverged", step: 2 })
    expect(failure.message).toMatch(/^step 2: the gradient norm is (Infinity|NaN)$/)
  })
})
