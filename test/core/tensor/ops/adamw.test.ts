import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { adamwKernel } from "../../../../core/tensor/ops/adamw.ts"
import { linear } from "../../../../core/tensor/ops/linear.ts"
import { initialState, updateParameters } from "../../../../core/tensor/optimiser.ts"
import { adamw } from "../../../../core/tensor/optimisers/adamw.ts"
import {
  disposeGradients,
  type Gradients,
  Parameters,
  valueAndGradients,
} from "../../../../core/tensor/parameters.ts"
import { noise } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

const plain = { biasCorrection: false }

/** An optimiser at work on parameters: each call of `step` is an update. */
const optimising = (
  parameters: Parameters,
  options: Readonly<Record<string, number | boolean>>,
  learningRate = 1e-3,
  gradientScale = 1,
) => {
  const optimiser = adamw(options)
  const state = initialState(optimiser, parameters, parameters.names)
  let step = 0
  return {
    state,
    step: (gradients: Gradients) => {
      step++
      // The norm that is scaled down by this factor, whatever that of the gradients.
      const norm = tf.scalar(1 / gradientScale)
      updateParameters(optimiser, parameters, gradients, state, {
        learningRate: () => learningRate,
        clipping: { norm, largestNorm: gradientScale * (1 / gradientScale + 1e-6) },
        step: () => step,
      })
      norm.dispose()
    },
    dispose: () => {
      for (const set of [parameters, ...state.values()]) set.dispose()
    },
  }
}

const parametersOf = (entries: Readonly<Record<string, Float32Array>>) =>
  Parameters.fromHost(
    Object.entries(entries).map(([name, values]) => [name, { shape: [values.length], values }] as const),
  )

const host = (parameters: Parameters, name: string) => parameters.toHost().get(name)!.values

onEveryDefinition("adamw", () => {
  test("without bias correction the first updates under a constant gradient have the known sizes", () => {
    const before = tf.memory().numTensors
    const parameters = parametersOf({ theta: new Float32Array(1) })
    const { step, dispose } = optimising(parameters, { ...plain, epsilon: 1e-12 }, 1)
    const gradients = new Map([["theta", tf.tensor1d([0.5])]])
    const speed: number[] = []
    for (let t = 1; t <= 468; t++) {
      const from = host(parameters, "theta")[0]!
      step(gradients)
      speed[t] = from - host(parameters, "theta")[0]!
    }
    // (1 − .9ᵗ) / √(1 − .999ᵗ); θ itself reaches about 1000, so its float32 spacing is 6e-5.
    expect(speed[1]).toBeCloseTo(3.162, 3)
    expect(speed[12]).toBeCloseTo(6.569, 3)
    expect(speed[47]).toBeCloseTo(4.633, 3)
    expect(speed[468]).toBeCloseTo(1.635, 3)
    expect(Math.max(...speed.slice(1))).toBe(speed[12]!)
    disposeGradients(gradients)
    dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  test.each([1, 15, 17, 33])("follows float64 over updates with changing gradients, %i numbers", (count) => {
    const defaults = { epsilon: 1e-6, weightDecay: 0, biasCorrection: false, gradientScale: 1 }
    for (const changed of [
      {},
      { biasCorrection: true, epsilon: 1e-8 },
      { weightDecay: 0.1, gradientScale: 0.3 },
    ]) {
      const { gradientScale, ...settings } = { ...defaults, ...changed }
      const before = tf.memory().numTensors
      const start = noise(0, count)
      const parameters = parametersOf({ theta: start })
      const { state, step, dispose } = optimising(parameters, settings, 1e-3, gradientScale)
      const theta = Float64Array.from(start)
      const m = new Float64Array(count)
      const v = new Float64Array(count)
      for (let t = 1; t <= 5; t++) {
        const values = noise(t, count)
        const gradients = new Map([["theta", tf.tensor1d(values)]])
        step(gradients)
        disposeGradients(gradients)
        const correction = settings.biasCorrection ? Math.sqrt(1 - 0.999 ** t) / (1 - 0.9 ** t) : 1
        for (let index = 0; index < count; index++) {
          const g = values[index]! * gradientScale
          m[index] = 0.9 * m[index]! + 0.1 * g
          v[index] = 0.999 * v[index]! + 0.001 * g * g
          theta[index]! -= (1e-3 * correction * m[index]!) / (Math.sqrt(v[index]!) + settings.epsilon)
          theta[index]! -= 1e-3 * settings.weightDecay * theta[index]!
        }
      }
      for (const [index, value] of host(parameters, "theta").entries()) {
        expect(Math.abs(value - theta[index]!)).toBeLessThan(1e-6)
      }
      for (const [index, value] of host(state.get("m")!, "theta").entries()) {
        expect(Math.abs(value - m[index]!)).toBeLessThan(1e-7)
      }
      dispose()
      expect(tf.memory().numTensors).toBe(before)
    }
  })

  test("with bias correction the first update has the size of the learning rate, whatever the gradient's", () => {
    const parameters = parametersOf({ theta: new Float32Array(2) })
    const gradients = new Map([["theta", tf.tensor1d([40, -0.3])]])
    const { step, dispose } = optimising(parameters, { epsilon: 1e-12 })
    step(gradients)
    const [left, right] = host(parameters, "theta")
    expect(left).toBeCloseTo(-1e-3, 8)
    expect(right).toBeCloseTo(1e-3, 8)
    disposeGradients(gradients)
    dispose()
  })

  test("updates several parameters at once, each with its own step size and decay, and takes over their tensors", () => {
    const settings = { beta1: 0.9, beta2: 0.99, epsilon: 1e-6, largestNorm: 2 }
    const before = tf.memory().numTensors
    const kept = tf.tensor1d(noise(0, 17))
    const given = [17, 1, 40].map((count, site) => ({
      theta: site === 0 ? kept.clone() : tf.tensor1d(noise(site, count)),
      gradient: tf.tensor1d(noise(10 + site, count)),
      m: tf.tensor1d(noise(20 + site, count)),
      v: tf.tensor1d(noise(30 + site, count).map(Math.abs)),
      stepSize: 0.1 * (site + 1),
      decay: 0.01 * site,
    }))
    const norm = tf.scalar(8)
    const updated = adamwKernel(given, { norm, ...settings })
    for (const [site, { theta, m, v }] of updated.entries()) {
      const count = theta.size
      const [start, g] = [noise(site, count), noise(10 + site, count).map((value) => value / 4)]
      const first = noise(20 + site, count).map((value, i) => 0.9 * value + 0.1 * g[i]!)
      const second = noise(30 + site, count).map((value, i) => 0.99 * Math.abs(value) + 0.01 * g[i]! ** 2)
      const { stepSize, decay } = given[site]!
      for (const i of start.keys()) {
        const moved = start[i]! - (stepSize * first[i]!) / (Math.sqrt(second[i]!) + 1e-6)
        expect(Math.abs(theta.dataSync()[i]! - moved * (1 - decay))).toBeLessThan(
          1e-5 * (1 + Math.abs(moved)),
        )
        expect(Math.abs(m.dataSync()[i]! - first[i]!)).toBeLessThan(1e-6)
        expect(Math.abs(v.dataSync()[i]! - second[i]!)).toBeLessThan(1e-6)
      }
    }
    // A tensor that shared θ's data keeps its values.
    expect([...kept.dataSync()]).toEqual([...noise(0, 17)])
    tf.dispose([kept, norm, given.map(({ gradient }) => gradient), updated.flatMap(Object.values<tf.Tensor>)])
    // What was taken over is returned or gone.
    expect(tf.memory().numTensors).toBe(before)
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY])("changes nothing if the norm is %p", (value) => {
    const before = tf.memory().numTensors
    const of = (site: number) => tf.tensor1d(noise(site, 5).map(Math.abs))
    const given = {
      theta: of(1),
      gradient: tf.fill([5], value),
      m: of(2),
      v: of(3),
      stepSize: 0.1,
      decay: 0.1,
    }
    const norm = tf.scalar(value)
    const settings = { norm, largestNorm: 1, beta1: 0.9, beta2: 0.999, epsilon: 1e-6 }
    const [updated] = adamwKernel([given], settings)
    for (const [site, part] of (["theta", "m", "v"] as const).entries())
      expect([...updated![part].dataSync()]).toEqual([...noise(site + 1, 5).map(Math.abs)])
    tf.dispose([norm, given.gradient, Object.values(updated!)])
    expect(tf.memory().numTensors).toBe(before)
  })

  test("a parameter without a gradient stays as it is", () => {
    const parameters = parametersOf({ moved: noise(1, 3), kept: noise(2, 3) })
    const gradients = new Map([["moved", tf.ones([3])]])
    const { state, step, dispose } = optimising(parameters, { ...plain, weightDecay: 0.5 })
    step(gradients)
    expect(host(parameters, "kept")).toEqual(noise(2, 3))
    expect(host(state.get("v")!, "kept")).toEqual(new Float32Array(3))
    expect(host(parameters, "moved")).not.toEqual(noise(1, 3))
    disposeGradients(gradients)
    dispose()
  })

  test("products after an update use the new weights, in the backward pass too", () => {
    const parameters = Parameters.fromHost([
      ["x", { shape: [2, 16], values: noise(1, 32) }],
      ["weight", { shape: [16, 16], values: noise(2, 256) }],
    ])
    const bias: tf.Tensor1D = tf.zeros([16])
    const pass = () => {
      const { value, gradients } = valueAndGradients(
        () => tf.sum(linear(parameters.get("x"), parameters.get("weight"), bias)),
        parameters,
      )
      value.dispose()
      return gradients
    }
    const first = pass()
    const { step, dispose } = optimising(parameters, plain, 0.5)
    step(new Map([["weight", first.get("weight")!]]))
    disposeGradients(first)
    const second = pass()
    const weight = host(parameters, "weight")
    for (const [index, found] of second.get("x")!.dataSync().entries()) {
      let expected = 0
      for (let o = 0; o < 16; o++) expected += weight[o * 16 + (index % 16)]!
      expect(Math.abs(found - expected)).toBeLessThan(1e-4)
    }
    disposeGradients(second)
    bias.dispose()
    dispose()
  })
})
