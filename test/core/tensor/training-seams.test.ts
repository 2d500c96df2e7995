import { describe, expect, test } from "bun:test"
import { readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { Progress } from "../../../core/api/progress.ts"
import { adafactor } from "../../../core/tensor/optimisers/adafactor.ts"
import { adamw } from "../../../core/tensor/optimisers/adamw.ts"
import { lion } from "../../../core/tensor/optimisers/lion.ts"
import { sgd } from "../../../core/tensor/optimisers/sgd.ts"
import { Parameters } from "../../../core/tensor/parameters.ts"
import { mixout } from "../../../core/tensor/parametrisations/mixout.ts"
import { l2SP } from "../../../core/tensor/regularisers/l2-sp.ts"
import { openSafetensors } from "../../../core/tensor/safetensors.ts"
import { fillDropoutMask, normal, stream } from "../../../core/tensor/stream.ts"
import { type Training, train } from "../../../core/tensor/training.ts"
import { withTrainingFolder } from "./training-folder.ts"

let scratch: string
withTrainingFolder((folder) => {
  scratch = folder
})

const steps = 8
const rate = 0.05
const values = {
  weight: [0.5, -1, 2, 0.25, 1, -0.75],
  bias: [0.1, 0, -0.2],
  head: [0.3, -0.4],
} as const
type Name = keyof typeof values
const names: readonly Name[] = ["weight", "bias", "head"]
const shapes = { weight: [2, 3], bias: [3], head: [2] } as const

const parametersOf = (chosen: readonly Name[]) =>
  Parameters.fromHost(
    chosen.map((name) => [name, { shape: shapes[name], values: Float32Array.from(values[name]) }]),
  )

/** What an update adds to the gradient of a parameter. */
const noiseOf = (update: number, name: Name) =>
  normal({ stream: stream(5, "test"), site: values[name].length, iteration: update }, values[name].length, 2)

/** ½ Σ w² + Σ noise · w: its gradient is w + noise. */
const loss = (update: number, parameters: Parameters): tf.Scalar =>
  tf.tidy(() =>
    names
      .map((name): tf.Scalar => {
        const w = parameters.get(name)
        return tf.sum(tf.add(tf.mul(tf.square(w), 0.5), tf.mul(w, tf.tensor(noiseOf(update, name), w.shape))))
      })
      .reduce((sum, next) => tf.add(sum, next)),
  )

type Settings = Partial<Omit<Training<never, never>, "parameters" | "scratch">>
const plain = sgd({ momentum: 0 })

/** Trains from the same values each time. `stopAt` interrupts it there. */
const trained = async (settings: Settings, stopAt?: number) => {
  const parameters = parametersOf(names)
  const training = train({
    parameters,
    learningRates: new Float64Array(steps).fill(rate),
    optimiser: plain,
    clip: Number.POSITIVE_INFINITY,
    loss,
    scratch,
    ...settings,
    at: (step) => (step === stopAt ? Effect.interrupt : Effect.void),
  }).pipe(Effect.provideService(Progress, { report: () => Effect.void }))
  try {
    const metrics = stopAt === undefined ? await Effect.runPromise(training) : undefined
    if (metrics === undefined) await Effect.runPromiseExit(training)
    return { metrics, values: parameters.toHost() }
  } finally {
    parameters.dispose()
  }
}

/** The same in float64, by plain gradient descent. */
const descended = (gradientOf: (name: Name, w: number, noise: number, i: number) => number) =>
  names.map((name) => {
    const w: number[] = [...values[name]]
    for (let update = 0; update < steps; update++) {
      const noise = noiseOf(update, name)
      for (const i of w.keys()) w[i] = w[i]! - rate * gradientOf(name, w[i]!, noise[i]!, i)
    }
    return [name, w] as const
  })

const expectValues = (
  found: ReadonlyMap<string, { readonly values: Float32Array }>,
  expected: readonly (readonly [Name, readonly number[]])[],
) => {
  for (const [name, w] of expected) {
    for (const [i, value] of w.entries()) expect(found.get(name)!.values[i]).toBeCloseTo(value, 5)
  }
}

describe("frozen parameters", () => {
  const multipliers = new Map([
    ["head", 1],
    ["weight", 1],
  ])

  test("keep their bits, and the gradient norm is that of the trained ones", async () => {
    const { metrics, values: found } = await trained({ multipliers })
    expect(found.get("bias")!.values).toEqual(Float32Array.from(values.bias))
    expectValues(
      found,
      descended((name, w, noise) => (name === "bias" ? 0 : w + noise)),
    )
    const gradients = (["weight", "head"] as const).flatMap((name) =>
      values[name].map((w, i) => w + noiseOf(0, name)[i]!),
    )
    expect(metrics!.gradientNorm[0]).toBeCloseTo(Math.hypot(...gradients), 5)
  })

  test("have no state, and are not saved", async () => {
    await trained({ multipliers, optimiser: adamw({}) }, 3)
    const [folder] = await readdir(scratch)
    const file = openSafetensors(join(scratch, folder!, "tensors.safetensors"))
    const entries = await Effect.runPromise(
      Effect.scoped(Effect.map(file, ({ entries }) => [...entries.keys()])),
    )
    expect(entries.sort()).toEqual(
      ["optimiser.m/head", "optimiser.m/weight", "optimiser.v/head", "optimiser.v/weight"].concat([
        "parameters/head",
        "parameters/weight",
      ]),
    )
  })
})

test("a multiplier is that of the learning rate", async () => {
  const multipliers = new Map([
    ["weight", 0.25],
    ["bias", 1],
    ["head", 2],
  ])
  const { metrics, values: found } = await trained({ multipliers })
  expectValues(
    found,
    descended((name, w, noise) => multipliers.get(name)! * (w + noise)),
  )
  expect(metrics!.learningRate[0]).toBe(rate)
})

describe("a regulariser", () => {
  test("adds its gradient exactly: L2-SP pulls to the start, and new parameters to 0", async () => {
    const start = parametersOf(["weight", "bias"])
    const regulariser = l2SP({ pretrained: 0.7, drawn: 0.2 })
    const { metrics, values: found } = await trained({ start, regulariser })
    const unregularised = await trained({})
    start.dispose()
    const pull = (name: Name, w: number, i: number) =>
      name === "head" ? 0.2 * w : 0.7 * (w - values[name][i]!)
    expectValues(
      found,
      descended((name, w, noise, i) => w + noise + pull(name, w, i)),
    )
    // Before the first update only the new parameters are penalised; the loss itself is reported without penalty.
    const gradients = names.flatMap((name) =>
      values[name].map((w, i) => w + noiseOf(0, name)[i]! + pull(name, w, i)),
    )
    expect(metrics!.gradientNorm[0]).toBeCloseTo(Math.hypot(...gradients), 5)
    expect(metrics!.loss[0]).toBe(unregularised.metrics!.loss[0]!)
  })

  test("also moves a parameter that the loss does not depend on", async () => {
    const { values: found } = await trained({
      regulariser: l2SP({ drawn: 1 }),
      loss: (_, parameters) => tf.tidy(() => tf.sum(tf.square(parameters.get("bias")))),
    })
    const expected = values.head.map((w) => w * (1 - rate) ** steps)
    for (const [i, value] of expected.entries()) {
      expect(found.get("head")!.values[i]).toBeCloseTo(value, 6)
    }
  })
})

describe("mixout", () => {
  const draws = stream(7, "parametrisation")
  const masks = (update: number) => {
    const mask = new Float32Array(6)
    fillDropoutMask(mask, { stream: draws, site: 4, iteration: update, rate: 0.5 })
    return mask
  }
  const settings = (start: Parameters): Settings => ({
    start,
    parametrised: { by: mixout({ probability: 0.5 }), sites: new Map([["weight", 4]]), stream: draws },
  })

  test("computes with mixed weights, whose gradient flows to the kept ones, as in float64", async () => {
    const start = parametersOf(["weight"])
    const { values: found } = await trained(settings(start))
    start.dispose()
    let update = 0
    let mask = masks(0)
    // ∂ mixed / ∂ w is the mask, 0 or 1 / (1 − p), and the loss's gradient is taken at the mixed weights.
    const expected = descended((name, w, noise, i) => {
      if (name !== "weight") return w + noise
      if (i === 0) mask = masks(update++)
      const u = values.weight[i]!
      return mask[i]! * (u + mask[i]! * (w - u) + noise)
    })
    expectValues(found, expected)
  })

  test("has the weights themselves as its mean, and replaces the given fraction", () => {
    const { weight } = mixout({ probability: 0.7 })
    const theta = tf.tensor2d([[3, -1, 0.5]])
    const first = tf.tensor2d([[1, 1, -2]])
    const sums = [0, 0, 0]
    let replaced = 0
    const count = 4000
    for (let iteration = 0; iteration < count; iteration++) {
      const mixed = tf.tidy(() => weight(theta, first, { stream: draws, site: 0, iteration }).dataSync())
      for (const i of sums.keys()) {
        sums[i] = sums[i]! + mixed[i]! / count
        if (mixed[i] === first.dataSync()[i]) replaced++
      }
    }
    // A weight's standard deviation is |θ − u| √(p / (1 − p)).
    for (const [i, value] of [3, -1, 0.5].entries()) {
      expect(Math.abs(sums[i]! - value)).toBeLessThan((4 * 2.5 * Math.sqrt(0.7 / 0.3)) / Math.sqrt(count))
    }
    expect(replaced / (3 * count)).toBeCloseTo(0.7, 1)
    tf.dispose([theta, first])
  })
})

describe("training that is stopped and resumed", () => {
  const optimisers = [
    adamw({}),
    adamw({ biasCorrection: false, weightDecay: 0.1 }),
    sgd({}),
    sgd({ momentum: 0 }),
    sgd({ nesterov: true, weightDecay: 0.1 }),
    lion({}),
    adafactor({}),
  ]
  test.each(optimisers.map((optimiser) => [JSON.stringify(optimiser), optimiser] as const))(
    "has the same bits with frozen parameters, L2-SP, mixout and %s",
    async (_, optimiser) => {
      // As a plugin does, from the checkpoint and not from the saved state.
      const start = parametersOf(["weight", "bias"])
      const settings: Settings = {
        optimiser,
        start,
        clip: 1,
        regulariser: l2SP({}),
        multipliers: new Map([
          ["weight", 1],
          ["head", 0.5],
        ]),
        parametrised: {
          by: mixout({ probability: 0.3 }),
          sites: new Map([["weight", 1]]),
          stream: stream(1, "parametrisation"),
        },
      }
      const whole = await trained(settings)
      expect(whole.values.get("weight")!.values).not.toEqual(Float32Array.from(values.weight))
      await rm(scratch, { recursive: true })
      await trained(settings, 2)
      await trained(settings, 5)
      expect(await readdir(scratch)).toEqual(["training-5"])
      expect(await trained(settings)).toEqual(whole)
      start.dispose()
    },
  )

  test("starts over if the saved state is another optimiser's", async () => {
    const whole = await trained({ optimiser: lion({}) })
    await rm(scratch, { recursive: true })
    await trained({ optimiser: sgd({}) }, 5)
    expect(await readdir(scratch)).toEqual(["training-5"])
    expect(await trained({ optimiser: lion({}) })).toEqual(whole)
  })
})
