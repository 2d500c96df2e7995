import { expect } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { initialState, type OptimiserFunctions, updateParameters } from "../../../../core/tensor/optimiser.ts"
import { disposeGradients, Parameters } from "../../../../core/tensor/parameters.ts"

/** Numbers of either sign, different for every update, which Python computes too. */
export const numbers = (update: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.sin(1.3 * update * update + 0.7 * i * i + i) * (0.5 + 0.1 * i))

export const shapes = { weight: [3, 4], bias: [5] } as const
export const learningRate = 0.05
const updates = 6
/** The draws of the parameters' starting values, and what is added to the index of an update for its gradient. */
const start = { weight: 0, bias: 9 } as const
const shift = { weight: 0, bias: 20 } as const
const sizeOf = { weight: 12, bias: 5 } as const
type Name = keyof typeof shapes
const names: readonly Name[] = ["weight", "bias"]

/** Six updates of a matrix and a vector from given gradients; no tensor may be left over. */
export const optimised = (optimiser: OptimiserFunctions, gradientScale = 1): Record<Name, number[]> => {
  const before = tf.memory().numTensors
  const parameters = Parameters.fromHost(
    names.map((name) => [
      name,
      { shape: shapes[name], values: Float32Array.from(numbers(start[name], sizeOf[name])) },
    ]),
  )
  const state = initialState(optimiser, parameters, names)
  for (let step = 1; step <= updates; step++) {
    const gradients = new Map(
      names.map((name) => [
        name,
        tf.tensor(
          numbers(step + shift[name], sizeOf[name]).map((value) => value / gradientScale),
          [...shapes[name]],
        ),
      ]),
    )
    const norm = tf.scalar(1 / gradientScale)
    updateParameters(optimiser, parameters, gradients, state, {
      learningRate: () => learningRate,
      clipping: { norm, largestNorm: gradientScale * (1 / gradientScale + 1e-6) },
      step: () => step,
    })
    norm.dispose()
    disposeGradients(gradients)
  }
  const host = parameters.toHost()
  for (const set of [parameters, ...state.values()]) set.dispose()
  expect(tf.memory().numTensors).toBe(before)
  return { weight: [...host.get("weight")!.values], bias: [...host.get("bias")!.values] }
}

/** The same in float64. `update` changes a parameter's values in place from a gradient. */
export const inFloat64 = (
  optimiserOf: (name: Name) => (theta: number[], gradient: readonly number[], step: number) => void,
): Record<Name, number[]> => {
  const result = { weight: numbers(start.weight, 12), bias: numbers(start.bias, 5) }
  for (const name of names) {
    const update = optimiserOf(name)
    for (let step = 1; step <= updates; step++) {
      update(result[name], numbers(step + shift[name], sizeOf[name]), step)
    }
  }
  return result
}

export const expectClose = (
  found: Record<Name, readonly number[]>,
  expected: Record<Name, readonly number[]>,
  tolerance = 2e-6,
) => {
  for (const name of names) {
    expect(found[name]).toHaveLength(expected[name].length)
    for (const [i, value] of expected[name].entries()) {
      expect(Math.abs(found[name][i]! - value)).toBeLessThan(tolerance)
    }
  }
}
