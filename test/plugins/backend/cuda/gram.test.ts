import { beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import type { DeviceBackend } from "../../../../plugins/backend/device/backend.ts"
import type { Device, Handle } from "../../../../plugins/backend/device/device.ts"
import { deviation, withBuffers } from "../device/devices.ts"
import { emulated, startEmulated } from "./emulated.ts"
import { inBothOrders, launchesOf } from "./orders.ts"

const gpu = (): Device => (tf.findBackend("cuda") as DeviceBackend).device

const offsetsOf = (lengths: readonly number[]): Int32Array => {
  const offsets = new Int32Array(lengths.length + 1)
  for (const [n, length] of lengths.entries()) offsets[n + 1] = offsets[n]! + length
  return offsets
}

/** ⟨vᵢ, vⱼ⟩ in float64, as fractions of the largest. */
const gramOf = (vectors: readonly Float64Array[]): Float64Array => {
  const n = vectors.length
  return Float64Array.from({ length: n * n }, (_, at) => {
    const [a, b] = [vectors[Math.floor(at / n)]!, vectors[at % n]!]
    return a.reduce((sum, value, i) => sum + value * b[i]!, 0)
  })
}

/** Σ_t b_t a_tᵀ of each sample. */
const gradientsOf = (
  offsets: Int32Array,
  a: Float32Array,
  inputs: number,
  b: Float32Array,
  outputs: number,
) =>
  Array.from({ length: offsets.length - 1 }, (_, n) => {
    const gradient = new Float64Array(inputs * outputs)
    for (let t = offsets[n]!; t < offsets[n + 1]!; t++) {
      for (let o = 0; o < outputs; o++) {
        for (let i = 0; i < inputs; i++) gradient[o * inputs + i]! += b[t * outputs + o]! * a[t * inputs + i]!
      }
    }
    return gradient
  })

/** A matrix that is written at three places, which do not touch one another. */
const written = (
  device: Device,
  samples: number,
  compute: (grams: Handle, at: number) => void,
): Float64Array => {
  const size = samples ** 2
  const grams = device.allocate("float64", 3 * size)
  try {
    for (const at of [2, 0, 1]) compute(grams, at)
    const all = device.readFloat64(grams, 3 * size)
    const [first, ...others] = [0, 1, 2].map((at) => all.slice(at * size, (at + 1) * size))
    for (const other of others) expect(other).toEqual(first!)
    return first!
  } finally {
    device.release(grams)
  }
}

describe.skipIf(emulated === undefined)("Gram matrices of the GPU, emulated", () => {
  beforeAll(() => startEmulated(), 300_000)

  test.each([
    { lengths: [1], inputs: 1, outputs: 1 },
    { lengths: [0], inputs: 4, outputs: 4 },
    { lengths: [3, 0, 5], inputs: 7, outputs: 3 },
    { lengths: [33, 2, 0, 17], inputs: 20, outputs: 36 },
    // Samples that end with a tile, and that are in several.
    { lengths: [64, 64, 1, 63, 0], inputs: 16, outputs: 130 },
    { lengths: [200, 3, 300], inputs: 65, outputs: 33 },
    // More samples than a tile has rows.
    { lengths: Array.from({ length: 130 }, (_, i) => i % 4), inputs: 12, outputs: 9 },
    // Sums of more than 2,048 terms.
    { lengths: [3, 4], inputs: 300, outputs: 100 },
  ])("agree with float64: samples of $lengths tokens, $inputs inputs, $outputs outputs", (shape) => {
    const { lengths, inputs, outputs } = shape
    const offsets = offsetsOf(lengths)
    const tokens = offsets.at(-1)!
    withBuffers(gpu(), ({ device, given, empty }) => {
      const [a, b, factor] = [
        given(0, tokens * inputs),
        given(1, tokens * outputs),
        given(2, tokens * inputs),
      ]
      const none = empty(0)
      const agrees = (expected: Float64Array, compute: (grams: Handle, at: number) => void) => {
        const [found, reverse] = inBothOrders(() => written(device, lengths.length, compute))
        const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1
        const scaled = (gram: Float64Array) => gram.map((value) => value / largest)
        expect(deviation(scaled(found), scaled(expected))).toBeLessThan(2e-6)
        expect(reverse).toEqual(found)
      }
      const gradients = gramOf(gradientsOf(offsets, a.values, inputs, b.values, outputs))
      agrees(gradients, (...to) => device.gramByTokens(a.handle, b.handle, offsets, ...to))
      agrees(gradients, (...to) => device.gramDirectly(a.handle, b.handle, offsets, ...to))
      const ones = new Float32Array(tokens).fill(1)
      const sums = gramOf(gradientsOf(offsets, a.values, inputs, ones, 1))
      agrees(sums, (...to) => device.gramOfSums(a.handle, none, offsets, ...to))
      const products = a.values.map((value, i) => value * factor.values[i]!)
      const sumsOfProducts = gramOf(gradientsOf(offsets, products, inputs, ones, 1))
      agrees(sumsOfProducts, (...to) => device.gramOfSums(a.handle, factor.handle, offsets, ...to))
    })
  })

  test.each([
    { tokens: 130, kernel: "gram_by_tokens_64" },
    { tokens: 300, kernel: "gram_by_tokens_128" },
  ])("by tokens use tiles that fill the multiprocessors: $tokens tokens", ({ tokens, kernel }) => {
    withBuffers(gpu(), ({ device, given }) => {
      const [a, b] = [given(0, tokens * 4), given(1, tokens * 4)]
      const gram = device.allocate("float64", 1)
      const launches = launchesOf(() => {
        device.gramByTokens(a.handle, b.handle, offsetsOf([tokens]), gram, 0)
      })
      device.release(gram)
      expect(launches).toEqual({ [kernel]: 1, gram_of_parts: 1 })
    })
  })
})
