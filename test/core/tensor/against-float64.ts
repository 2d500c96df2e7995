import { expect } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { disposeGradients, Parameters, valueAndGradients } from "../../../core/tensor/parameters.ts"
import { normal, stream } from "../../../core/tensor/stream.ts"

/** Row-major numbers in float64. */
export interface Matrix {
  readonly rows: number
  readonly columns: number
  readonly values: Float64Array
}

export const matrix = (
  rows: number,
  columns: number,
  value: (row: number, column: number) => number,
): Matrix => {
  const values = new Float64Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) values[row * columns + column] = value(row, column)
  }
  return { rows, columns, values }
}

export const at = ({ columns, values }: Matrix, row: number, column: number): number =>
  values[row * columns + column]!

export const multiply = (a: Matrix, b: Matrix): Matrix =>
  matrix(a.rows, b.columns, (row, column) => {
    let sum = 0
    for (let k = 0; k < a.columns; k++) sum += at(a, row, k) * at(b, k, column)
    return sum
  })

export const transposed = (a: Matrix): Matrix =>
  matrix(a.columns, a.rows, (row, column) => at(a, column, row))

export const softmaxRows = (a: Matrix): Matrix => {
  const result = matrix(a.rows, a.columns, (row, column) => Math.exp(at(a, row, column)))
  return matrix(a.rows, a.columns, (row, column) => {
    let sum = 0
    for (let k = 0; k < a.columns; k++) sum += at(result, row, k)
    return at(result, row, column) / sum
  })
}

/** Normally distributed numbers, always the same for a site. */
export const noise = (site: number, count: number, scale = 1): Float32Array =>
  normal({ stream: stream(2025, "test"), site, iteration: 0 }, count, scale)

export interface Case {
  /** [rows, columns] of each input; a vector has one row and is given to the op with rank 1. */
  readonly inputs: Readonly<Record<string, { rows: number; columns: number; scale?: number; vector?: true }>>
  readonly op: (inputs: <T extends tf.Tensor>(name: string) => T) => tf.Tensor
  readonly exact: (inputs: (name: string) => Matrix) => ArrayLike<number>
  /** The greatest difference, as a fraction of the largest number of the output or gradient, or of 1 if that is more. */
  readonly tolerance?: number
}

const expectClose = (
  what: string,
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
) => {
  expect(found.length).toBe(expected.length)
  let largest = 1
  for (let index = 0; index < expected.length; index++)
    largest = Math.max(largest, Math.abs(expected[index]!))
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs(found[index]! - expected[index]!)
    if (!(difference <= tolerance * largest)) {
      throw new Error(`${what}[${index}] is ${found[index]} and should be ${expected[index]}`)
    }
  }
}

/**
 * Compares an op with its definition in float64: its value, and the gradients of Σ weight · output with central
 * differences of the definition. No tensor may be left over.
 */
export const holdAgainstFloat64 = ({ inputs, op, exact, tolerance = 2e-6 }: Case): void => {
  const names = Object.keys(inputs)
  const exactInputs = new Map<string, Matrix>()
  const before = tf.memory().numTensors
  const parameters = Parameters.fromHost(
    names.map((name, site) => {
      const { rows, columns, scale, vector } = inputs[name]!
      const values = noise(site, rows * columns, scale)
      exactInputs.set(name, { rows, columns, values: Float64Array.from(values) })
      return [name, { shape: vector ? [columns] : [rows, columns], values }] as const
    }),
  )
  const get = <T extends tf.Tensor>(name: string) => parameters.get<T>(name)
  const exactOutput = () => exact((name) => exactInputs.get(name)!)

  const output = tf.tidy(() => op(get))
  const found = output.dataSync()
  const { shape } = output
  const weights = noise(1000, found.length)
  output.dispose()
  const { value, gradients } = valueAndGradients(
    () => tf.sum(tf.mul(op(get), tf.tensor(weights, shape))),
    parameters,
  )
  value.dispose()
  const foundGradients = names.map((name) => gradients.get(name)!.dataSync())
  disposeGradients(gradients)
  parameters.dispose()
  // Before any comparison, which may throw: a failing test leaves no tensor over to the tests after it.
  expect(tf.memory().numTensors).toBe(before)

  const definition = exactOutput()
  expectClose("the output", found, definition, tolerance)
  const differences = differencesOf(
    `${JSON.stringify(inputs)} ${Bun.hash(Float64Array.from(definition))}`,
    () => {
      const weighted = () => {
        const y = exactOutput()
        let sum = 0
        for (let index = 0; index < y.length; index++) sum += y[index]! * weights[index]!
        return sum
      }
      return names.map((name) => {
        const { values } = exactInputs.get(name)!
        const h = 1e-5
        return values.map((_, index) => {
          const kept = values[index]!
          values[index] = kept + h
          const above = weighted()
          values[index] = kept - h
          const below = weighted()
          values[index] = kept
          return (above - below) / (2 * h)
        })
      })
    },
  )
  for (const [site, name] of names.entries()) {
    expectClose(`the gradient of ${name}`, foundGradients[site]!, differences[site]!, tolerance)
  }
}

/**
 * The central differences of each definition, by its inputs and the digest of its output: an op has one definition
 * and is held against it on every backend.
 */
const known = new Map<string, readonly Float64Array[]>()
const differencesOf = (key: string, make: () => readonly Float64Array[]) => {
  const differences = known.get(key) ?? make()
  known.set(key, differences)
  return differences
}
