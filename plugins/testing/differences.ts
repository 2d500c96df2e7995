import { expect } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { type HostTensor, Parameters, valueAndGradients } from "../../core/tensor/parameters.ts"
import { normal, stream } from "../../core/tensor/stream.ts"

/**
 * The step h of differences: a power of two, so that x ± h is exact for the multiples of 2⁻¹⁰ that `drawn` gives. With
 * Richardson's extrapolation the truncation error is of the order of h⁴ times the fifth derivative, and what float32 rounds
 * of a loss f becomes at most some 4e-7 f / h = 3e-5 f in a derivative.
 */
const h = 2 ** -6
const rounding = 3e-5
/** By how much a derivative may differ besides, relative to the largest of the gradient. */
const relative = 1e-3

/** Numbers from N(0, 1), rounded to multiples of 2⁻¹⁰. */
export const drawn = (shape: readonly number[], site: number): HostTensor => {
  const draw = { stream: stream(1, "differences"), site, iteration: 0 }
  const values = normal(draw, tf.util.sizeFromShape([...shape]), 1)
  return { shape, values: values.map((value) => Math.round(value * 1024) / 1024) }
}

/**
 * Compares the gradient that tfjs's tape gives of a function with central differences, entry by entry, and expects that
 * it is not zero everywhere.
 *
 * @param inputs what it is differentiated by
 */
export const expectDifferentiable = (
  f: (inputs: Parameters) => tf.Scalar,
  inputs: Readonly<Record<string, HostTensor>>,
): void => {
  const parameters = Parameters.fromHost(Object.entries(inputs))
  const { value, gradients } = valueAndGradients(() => f(parameters), parameters)
  const size = Math.abs(value.dataSync()[0]!)
  value.dispose()
  parameters.dispose()
  const found = new Map<string, Float32Array>()
  for (const [name, gradient] of gradients) {
    found.set(name, gradient.dataSync<"float32">().slice())
    gradient.dispose()
  }
  const largest = Math.max(0, ...[...found.values()].flatMap((values) => [...values].map(Math.abs)))
  expect(largest).toBeGreaterThan(0)

  const tolerance = relative * largest + rounding * Math.max(1, size)
  const valueAt = (name: string, index: number, shift: number): number => {
    const shifted = Parameters.fromHost(
      Object.entries(inputs).map(([of, { shape, values }]) => [
        of,
        { shape, values: of === name ? values.with(index, values[index]! + shift) : values },
      ]),
    )
    const value = tf.tidy(() => f(shifted).dataSync()[0]!)
    shifted.dispose()
    return value
  }
  const differing: string[] = []
  for (const [name, { values }] of Object.entries(inputs)) {
    for (const index of values.keys()) {
      const central = (step: number) =>
        (valueAt(name, index, step) - valueAt(name, index, -step)) / (2 * step)
      const expected = (4 * central(h) - central(2 * h)) / 3
      const gradient = found.get(name)?.[index] ?? 0
      if (!(Math.abs(gradient - expected) <= tolerance)) {
        differing.push(
          `${name}, entry ${index}: its gradient is ${gradient}, by differences it is ${expected}`,
        )
      }
    }
  }
  expect(differing).toEqual([])
}
