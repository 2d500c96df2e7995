import { describe, expect, setDefaultTimeout, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { normal, stream } from "../../../../../core/tensor/stream.ts"
import { deviation } from "../../../../../plugins/probe/fisher/self-check.ts"
import { embeddingGram } from "../../../../../plugins/probe/shared/gram/embedding.ts"
import {
  type GramMethod,
  rowsAtATime,
  rowsInASum,
  tilesOf,
} from "../../../../../plugins/probe/shared/gram/gram-method.ts"
import { gramsKernel } from "../../../../../plugins/probe/shared/gram/grams.ts"
import type { Factors } from "../../../../../plugins/probe/shared/gram/linear.ts"
import { onEveryDefinition } from "../../../../core/tensor/every-definition.ts"
import { matrixOf } from "../../matrices.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const random = (site: number, rows: number, columns: number): Float32Array =>
  normal({ stream: stream(1, "test"), site, iteration: 0 }, rows * columns)

const offsetsOf = (lengths: readonly number[]): Int32Array => {
  const offsets = new Int32Array(lengths.length + 1)
  for (const [i, length] of lengths.entries()) offsets[i + 1] = offsets[i]! + length
  return offsets
}

interface Case {
  readonly lengths: readonly number[]
  readonly inputs: number
  readonly outputs: number
  /** Whether a token has no gradient. */
  readonly unreached?: (token: number) => boolean
}

const factorsOf = ({ lengths, inputs, outputs, unreached = () => false }: Case) => {
  const offsets = offsetsOf(lengths)
  const tokens = offsets.at(-1)!
  const a = random(0, tokens, inputs)
  const b = random(1, tokens, outputs).map((x, at) => (unreached(Math.floor(at / outputs)) ? 0 : x))
  return { offsets, a, b }
}

/** Products of the gradients Gᵢ = Σ_t bᵢₜ aᵢₜᵀ in float64. */
const expectedGram = (given: Case): Float64Array => {
  const { inputs, outputs, lengths } = given
  const { offsets, a, b } = factorsOf(given)
  const gradients = lengths.map((_, n) => {
    const gradient = new Float64Array(inputs * outputs)
    for (let t = offsets[n]!; t < offsets[n + 1]!; t++) {
      for (let o = 0; o < outputs; o++) {
        for (let i = 0; i < inputs; i++) {
          gradient[o * inputs + i]! += b[t * outputs + o]! * a[t * inputs + i]!
        }
      }
    }
    return gradient
  })
  return matrixOf(lengths.length, (i, j) =>
    gradients[i]!.reduce((sum, x, k) => sum + x * gradients[j]![k]!, 0),
  )
}

const cases: Record<string, Case> = {
  "lengths of all kinds": { lengths: [3, 1, 0, 7, 2], inputs: 5, outputs: 4 },
  "one sample": { lengths: [6], inputs: 3, outputs: 2 },
  "one sample of one token": { lengths: [1], inputs: 3, outputs: 2 },
  "one token each": { lengths: [1, 1, 1, 1], inputs: 6, outputs: 1 },
  "some tokens without gradient": {
    lengths: [4, 3, 5],
    inputs: 4,
    outputs: 3,
    unreached: (token) => ![0, 4, 5].includes(token),
  },
  "a sample without gradient": {
    lengths: [2, 3, 2],
    inputs: 4,
    outputs: 3,
    unreached: (t) => t > 1 && t < 5,
  },
  "no gradient at all": { lengths: [2, 1], inputs: 2, outputs: 2, unreached: () => true },
  "more tokens than a tile": { lengths: [200, 100, 1, 300, 30], inputs: 2, outputs: 3 },
  "more numbers than are materialised": { lengths: [2, 1, 3], inputs: 1200, outputs: 1300 },
}

test("the cases have more than one tile, and more than one piece", () => {
  const { lengths } = cases["more tokens than a tile"]!
  expect(tilesOf(lengths).map(({ first, end }) => [first, end])).toEqual([
    [0, 1],
    [1, 3],
    [3, 4],
    [4, 5],
  ])
  const large = cases["more numbers than are materialised"]!
  expect(rowsAtATime(large)).toBeLessThan(large.outputs)
  expect(rowsInASum(large)).toBeLessThan(rowsAtATime(large))
})

const gramOf = (factors: Factors, method: GramMethod): Float64Array => {
  const grams = gramsKernel(1, factors.offsets.length - 1)
  try {
    grams.linear(0, factors, method)
    return grams.read()
  } finally {
    grams.dispose()
  }
}

onEveryDefinition("the Gram matrix of a linear layer", () => {
  describe.each(Object.entries(cases))("%s", (_, given) => {
    test("is that of the gradients, with both methods", () => {
      const { offsets, a, b } = factorsOf(given)
      const tokens = offsets.at(-1)!
      const before = tf.memory().numTensors
      const input_TI = tf.tensor2d(a, [tokens, given.inputs])
      const outputGradient_TO = tf.tensor2d(b, [tokens, given.outputs])
      const expected = expectedGram(given)
      for (const method of ["token", "direct"] as const) {
        const found = gramOf({ input_TI, outputGradient_TO, offsets }, method)
        expect(deviation(found, expected)).toBeLessThan(5e-6)
        expect(found).toEqual(gramOf({ input_TI, outputGradient_TO, offsets }, method))
        const n = given.lengths.length
        expect(found).toEqual(matrixOf(n, (i, j) => found[j * n + i]!))
      }
      tf.dispose([input_TI, outputGradient_TO])
      expect(tf.memory().numTensors).toBe(before)
    })
  })

  test("is not finite where a gradient is not", () => {
    const input_TI = tf.ones<tf.Rank.R2>([2, 2])
    const outputGradient_TO = tf.tensor2d([1, 2, Number.NaN, 3], [2, 2])
    for (const method of ["token", "direct"] as const) {
      const found = gramOf({ input_TI, outputGradient_TO, offsets: Int32Array.of(0, 1, 2) }, method)
      expect([found[1], found[3]].map(Number.isFinite)).toEqual([false, false])
    }
    tf.dispose([input_TI, outputGradient_TO])
  })
})

test("the Gram matrix of an embedding table is that of its dense gradients", () => {
  const lengths = [3, 5, 1]
  const offsets = offsetsOf(lengths)
  const ids = Int32Array.of(4, 0, 4, 2, 2, 0, 4, 2, 1)
  const width = 3
  const gradient = random(2, ids.length, width)
  const tables = lengths.map((_, n) => {
    const table = new Float64Array(5 * width)
    for (let t = offsets[n]!; t < offsets[n + 1]!; t++) {
      for (let k = 0; k < width; k++) table[ids[t]! * width + k]! += gradient[t * width + k]!
    }
    return table
  })
  const expected = matrixOf(3, (i, j) => tables[i]!.reduce((sum, x, k) => sum + x * tables[j]![k]!, 0))
  expect(deviation(embeddingGram(ids, gradient, offsets), expected)).toBeLessThan(1e-14)
  // Samples 0 and 2 share no id.
  expect(embeddingGram(ids, gradient, offsets)[2]).toBe(0)
})
