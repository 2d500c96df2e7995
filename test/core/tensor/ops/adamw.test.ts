import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
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
      updateParameters(optimiser, parameters, gradients, state, {
        learningRate: () => learningRate,
        gradientScale,
        step: () => step,
      })
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
