import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { Progress } from "../../../core/api/progress.ts"
import { adafactor } from "../../../core/tensor/optimisers/adafactor.ts"
import { adamw } from "../../../core/tensor/optimisers/adamw.ts"
import { lion } from "../../../core/tensor/optimisers/lion.ts"
import { sgd } from "../../../core/tensor/optimisers/sgd.ts"
import { Parameters } from "../../../core/tensor/parameters.ts"
import { normal, stream } from "../../../core/tensor/stream.ts"
import { type Training, train } from "../../../core/tensor/training.ts"
import { withTrainingFolder } from "./training-folder.ts"

let root: string
withTrainingFolder((folder) => {
  root = folder
})

const steps = 9
const at = 4
const rates = Float64Array.from({ length: steps }, (_, u) => 0.1 / (1 + u))
const values = { weight: [0.5, -1, 2, 0.25, 1, -0.75], bias: [0.1, 0, -0.2] } as const
type Name = keyof typeof values
const names: readonly Name[] = ["weight", "bias"]

const fresh = () =>
  Parameters.fromHost(
    names.map((name) => {
      const shape = name === "weight" ? [2, 3] : [3]
      return [name, { shape, values: Float32Array.from(values[name]) }]
    }),
  )

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
let folders = 0
const clip = Number.POSITIVE_INFINITY
const plain = sgd({ momentum: 0 })

/** Trains these parameters, which the caller still owns. */
const training = (parameters: Parameters, settings: Settings, scratch = join(root, `${++folders}`)) =>
  train({ parameters, learningRates: rates, optimiser: plain, clip, loss, scratch, ...settings }).pipe(
    Effect.provideService(Progress, { report: () => Effect.void }),
  )

const trained = async (settings: Settings) => {
  const parameters = fresh()
  const metrics = await Effect.runPromise(training(parameters, settings))
  const host = parameters.toHost()
  parameters.dispose()
  return { metrics, host }
}

/** The same from two trainings: `first` up to a step, and `second` from the parameters of there. */
const oneAfterTheOther = async (first: Settings, second: Settings) => {
  const parameters = fresh()
  const head = await Effect.runPromise(training(parameters, { ...first, until: at }))
  const tail = await Effect.runPromise(
    training(parameters, {
      ...second,
      learningRates: rates.slice(at),
      loss: (update, given) => loss(update + at, given),
    }),
  )
  const host = parameters.toHost()
  parameters.dispose()
  const joined = (part: "loss" | "gradientNorm" | "learningRate") =>
    Float64Array.from([...head[part], ...tail[part]])
  const metrics = {
    loss: joined("loss"),
    learningRate: joined("learningRate"),
    gradientNorm: joined("gradientNorm"),
  }
  return { metrics, host }
}

describe("another optimiser from an update on", () => {
  const optimisers = [adamw({}), adamw({ biasCorrection: false }), sgd({}), plain, lion({}), adafactor({})]
  const pairs = optimisers.flatMap((first) =>
    optimisers.flatMap((second) => (first === second ? [] : [[first, second] as const])),
  )

  test("starts anew, as in a training of its own: the update after is its first", async () => {
    for (const [optimiser, next] of pairs) {
      const changes = [{ from: at, newState: true, optimiser: next, clip }]
      expect(await trained({ optimiser, changes })).toEqual(
        await oneAfterTheOther({ optimiser }, { optimiser: next }),
      )
    }
  })
})

describe("the same optimiser with other options", () => {
  test("goes on with its state: the momentum, as in float64", async () => {
    const optimiser = sgd({ momentum: 0.9 })
    const changes = [{ from: at, newState: false, optimiser: sgd({ momentum: 0.5 }), clip }]
    const { host } = await trained({ optimiser, changes })
    for (const name of names) {
      const w: number[] = [...values[name]]
      const momentum = w.map(() => 0)
      for (let update = 0; update < steps; update++) {
        const noise = noiseOf(update, name)
        for (const i of w.keys()) {
          momentum[i] = (update < at ? 0.9 : 0.5) * momentum[i]! + w[i]! + noise[i]!
          w[i] = w[i]! - rates[update]! * momentum[i]!
        }
      }
      for (const [i, value] of w.entries()) expect(host.get(name)!.values[i]).toBeCloseTo(value, 5)
    }
  })

  test("that keeps more starts with the new part as before its first update, and drops what it keeps no more", async () => {
    const [without, heavy] = [plain, sgd({ momentum: 0.9 })]
    const more = [{ from: at, newState: false, optimiser: heavy, clip }]
    expect(await trained({ changes: more })).toEqual(
      await oneAfterTheOther({ optimiser: without }, { optimiser: heavy }),
    )
    const fewer = [{ from: at, newState: false, optimiser: without, clip }]
    expect(await trained({ optimiser: heavy, changes: fewer })).toEqual(
      await oneAfterTheOther({ optimiser: heavy }, { optimiser: without }),
    )
  })

  test("counts its updates on for the correction of bias", async () => {
    const optimiser = adamw({})
    const changes = [{ from: at, newState: false, optimiser: adamw({}), clip }]
    expect(await trained({ optimiser, changes })).toEqual(await trained({ optimiser }))
    const anew = [{ from: at, newState: true, optimiser, clip }]
    expect(await trained({ optimiser, changes: anew })).not.toEqual(await trained({ optimiser }))
  })
})

test("a parameter that is frozen for a while keeps its bits there, and comes back with a new state", async () => {
  const optimiser = adamw({})
  const all = new Map(names.map((name) => [name, 1] as const))
  const weightOnly = new Map([["weight", 1]])
  const rule = { newState: false, optimiser, clip }
  const changes = [
    { ...rule, from: at, multipliers: weightOnly },
    { ...rule, from: at + 2, multipliers: all },
  ]
  const seen: Float32Array[] = []
  const parameters = fresh()
  await Effect.runPromise(
    train({
      ...{ parameters, learningRates: rates, optimiser, clip, loss, multipliers: all, changes },
      scratch: join(root, "watched"),
      at: () => Effect.sync(() => void seen.push(parameters.toHost().get("bias")!.values)),
    }).pipe(Effect.provideService(Progress, { report: () => Effect.void })),
  )
  const weight = parameters.toHost().get("weight")!
  parameters.dispose()
  expect(seen[at + 1]).toEqual(seen[at]!)
  expect(seen[at + 2]).toEqual(seen[at]!)
  expect(seen[at]).not.toEqual(seen[at - 1]!)
  // Its gradient does not depend on the bias, so that the weight was trained as if nothing had changed.
  expect(weight).toEqual((await trained({ optimiser })).host.get("weight")!)
  // The first update of Adam with bias correction moves every value by the learning rate.
  for (const [i, value] of seen[at + 3]!.entries()) {
    expect(Math.abs(value - seen[at + 2]![i]!)).toBeCloseTo(rates[at + 2]!, 4)
  }
})

test("clipping changes with the rest", async () => {
  const changes = [{ from: at, newState: false, optimiser: plain, clip: 0.01 }]
  expect(await trained({ changes })).toEqual(await oneAfterTheOther({}, { clip: 0.01 }))
})

test("changes that are not in the order of their updates are refused", async () => {
  const change = { newState: false, optimiser: plain, clip }
  for (const [first, second] of [
    [0, 3],
    [5, 5],
    [5, 3],
  ] as const) {
    const parameters = fresh()
    const changes = [
      { ...change, from: first },
      { ...change, from: second },
    ]
    await expect(Effect.runPromise(training(parameters, { changes }))).rejects.toThrow(
      /the change at \d comes after/,
    )
    parameters.dispose()
  }
})
