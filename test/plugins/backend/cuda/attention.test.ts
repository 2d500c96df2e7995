import { beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import type { Precision } from "../../../../core/api/precision.ts"
import { type Dropout, fillDropoutMask, stream } from "../../../../core/tensor/stream.ts"
import type { Gpu } from "../../../../plugins/backend/cuda/device.ts"
import type { DeviceBackend } from "../../../../plugins/backend/device/backend.ts"
import { precisionNumbers } from "../../../../plugins/backend/device/device.ts"
import { noise } from "../../../core/tensor/against-float64.ts"
import { withBuffers } from "../device/devices.ts"
import { emulated, startEmulated } from "./emulated.ts"
import { inBothOrders, launchesOf } from "./orders.ts"

interface Case {
  readonly lengths: readonly number[]
  readonly heads: number
  readonly d: number
  readonly rate: number
  /** Which tokens are queries. */
  readonly chosen?: (token: number) => boolean
}

const cases: readonly Case[] = [
  { lengths: [1], heads: 1, d: 1, rate: 0 },
  { lengths: [1, 1, 15], heads: 2, d: 64, rate: 0.1 },
  { lengths: [33, 2, 17], heads: 2, d: 64, rate: 0.1 },
  { lengths: [33, 2, 17], heads: 3, d: 5, rate: 0.1 },
  { lengths: [64, 65], heads: 2, d: 32, rate: 0.1, chosen: (token) => token % 3 === 0 },
  { lengths: [33, 0, 17], heads: 2, d: 17, rate: 0.1, chosen: (token) => token === 0 || token === 33 },
  { lengths: [70, 17], heads: 2, d: 100, rate: 0.1, chosen: (token) => token > 60 },
  { lengths: [130, 67], heads: 1, d: 128, rate: 0.5 },
  { lengths: [130, 67], heads: 1, d: 33, rate: 0.5 },
  { lengths: [40, 30, 20], heads: 2, d: 48, rate: 0, chosen: (token) => token < 40 || token >= 70 },
  { lengths: [512], heads: 1, d: 64, rate: 0.1 },
  { lengths: [5, 3], heads: 1, d: 4, rate: 0.1, chosen: () => false },
]

/** The greatest difference as a fraction of the largest number: sums of 512 terms, and a rounding of each factor. */
const tolerances: Readonly<Record<Precision, number>> = { fp32: 4e-6, tf32: 4e-3, bf16: 1.5e-2 }

const dropoutOf = (rate: number): Dropout => ({
  stream: stream(7, "dropout"),
  site: 3,
  iteration: 11,
  rate,
})

/** Outputs and gradients in float64, from definitions. */
const exactly = (
  { lengths, heads, d, rate }: Case,
  queryIndices: Int32Array,
  [q, k, v, dy]: readonly Float32Array[],
): Readonly<Record<"y" | "statistics" | "dq" | "dk" | "dv", Float64Array>> => {
  const width = heads * d
  const queries = queryIndices.length
  const like = (values: Float32Array) => new Float64Array(values.length)
  const [y, dq, dk, dv] = [like(q!), like(q!), like(k!), like(v!)] as const
  const statistics = new Float64Array(2 * heads * queries)
  const scale = 1 / Math.sqrt(d)
  const dot = (a: Float32Array, from: number, b: Float32Array, to: number): number => {
    let sum = 0
    for (let c = 0; c < d; c++) sum += a[from + c]! * b[to + c]!
    return sum
  }
  let [token, query, element] = [0, 0, 0]
  for (const length of lengths) {
    for (; query < queries && queryIndices[query]! < token + length; query++) {
      for (let head = 0; head < heads; head++) {
        const at = query * width + head * d
        const keys = Array.from({ length }, (_, key) => (token + key) * width + head * d)
        const mask = new Float32Array(length).fill(1)
        const first = element + (head * length + queryIndices[query]! - token) * length
        if (rate > 0) fillDropoutMask(mask, dropoutOf(rate), first)
        const scores = keys.map((key) => dot(q!, at, k!, key))
        const largest = Math.max(...scores)
        const exponentials = scores.map((score) => Math.exp((score - largest) * scale))
        const inverse = 1 / exponentials.reduce((sum, value) => sum + value)
        statistics.set([largest, inverse], 2 * (head * queries + query))
        const p = exponentials.map((value) => value * inverse)
        const dp = keys.map((key, j) => dot(dy!, at, v!, key) * mask[j]!)
        const mean = p.reduce((sum, value, j) => sum + value * dp[j]!, 0)
        for (const [j, key] of keys.entries()) {
          const ds = p[j]! * (dp[j]! - mean) * scale
          const kept = p[j]! * mask[j]!
          for (let c = 0; c < d; c++) {
            y[at + c]! += kept * v![key + c]!
            dq[at + c]! += ds * k![key + c]!
            dk[key + c]! += ds * q![at + c]!
            dv[key + c]! += kept * dy![at + c]!
          }
        }
      }
    }
    token += length
    element += heads * length * length
  }
  return { y, statistics, dq, dk, dv }
}

const relative = (found: Float32Array, expected: Float64Array): number => {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  // A single key's scores have no gradient.
  if (largest === 0) return found.every((value) => value === 0) ? 0 : Number.NaN
  return found.reduce((worst, value, i) => {
    const difference = Math.abs(value - expected[i]!) / largest
    return Math.max(difference, worst)
  }, 0)
}

const gpu = (): Gpu => (tf.findBackend("cuda") as DeviceBackend).device as Gpu

const within = <A>(precision: Precision, body: () => A): A => {
  gpu().setPrecision(precisionNumbers[precision])
  try {
    return body()
  } finally {
    gpu().setPrecision(precisionNumbers.fp32)
  }
}

const computed = (shape: Case, queryIndices: Int32Array, inputs: readonly Float32Array[]) => {
  const { lengths, heads, rate } = shape
  const offsets = Int32Array.from([
    0,
    ...lengths.map((_, n) => lengths.slice(0, n + 1).reduce((a, b) => a + b)),
  ])
  const { stream, site, iteration } = dropoutOf(rate)
  const dropout = rate > 0 ? [rate, stream.seed, stream.nameHash, site, iteration] : []
  return withBuffers(gpu(), ({ device, empty, read }) => {
    const [q, k, v, dy] = inputs.map((values) => {
      const handle = empty(values.length)
      device.write(handle, values)
      return handle
    })
    const sizes = [
      inputs[0]!.length,
      2 * heads * queryIndices.length,
      ...inputs.slice(0, 3).map((x) => x.length),
    ]
    const outputs = sizes.map((size) => {
      const handle = empty(size)
      device.write(handle, new Float32Array(size).fill(Number.NaN))
      return handle
    })
    const [y, statistics, dq, dk, dv] = outputs
    const list = Float64Array.from(dropout)
    device.attention(q!, k!, v!, heads, offsets, queryIndices, list, y!, statistics!)
    device.attentionGradient(dy!, q!, k!, v!, statistics!, heads, offsets, queryIndices, list, dq!, dk!, dv!)
    const [readY, readStatistics, readDq, readDk, readDv] = outputs.map((handle, i) =>
      read(handle, sizes[i]!),
    )
    return { y: readY!, statistics: readStatistics!, dq: readDq!, dk: readDk!, dv: readDv! }
  })
}

describe.skipIf(emulated === undefined)("attention of the GPU, emulated", () => {
  beforeAll(() => startEmulated(), 300_000)

  const given = (shape: Case) => {
    const { lengths, heads, d, chosen = () => true } = shape
    const tokens = lengths.reduce((sum, length) => sum + length)
    const queryIndices = Int32Array.from({ length: tokens }, (_, token) => token).filter(chosen)
    const [queried, all] = [queryIndices.length * heads * d, tokens * heads * d]
    return { queryIndices, inputs: [queried, all, all, queried].map((size, site) => noise(site, size)) }
  }

  describe.each(["fp32", "tf32", "bf16"] as const)("in %s", (precision) => {
    test.each(cases)("agrees with float64: $lengths, $heads heads of $d, dropout $rate", (shape) => {
      const { queryIndices, inputs } = given(shape)
      const expected = exactly(shape, queryIndices, inputs)
      const [found, reverse] = within(precision, () =>
        inBothOrders(() => computed(shape, queryIndices, inputs)),
      )
      for (const name of ["y", "statistics", "dq", "dk", "dv"] as const) {
        expect(relative(found[name], expected[name]), name).toBeLessThan(tolerances[precision])
      }
      expect(reverse).toEqual(found)
    })
  })

  test.each(["fp32", "tf32", "bf16"] as const)(
    "keeps what is not a number to its query, in %s",
    (precision) => {
      const shape = { lengths: [70], heads: 1, d: 64, rate: 0 }
      const { queryIndices, inputs } = given(shape)
      const poisoned = [inputs[0]!.slice(), ...inputs.slice(1)]
      poisoned[0]![3 * 64 + 5] = Number.NaN
      const [clean, { y }] = within(precision, () => [
        computed(shape, queryIndices, inputs),
        computed(shape, queryIndices, poisoned),
      ])
      const others = (values: Float32Array) => Array.from(values).filter((_, i) => Math.floor(i / 64) !== 3)
      expect(others(y)).toEqual(others(clean.y))
      expect(y.slice(3 * 64, 4 * 64).every(Number.isNaN)).toBe(true)
    },
  )

  // The softmax does not change if all keys do by the same vector, so their gradients sum to 0.
  test.each(["fp32", "tf32", "bf16"] as const)(
    "gives no gradient to all keys together, in %s",
    (precision) => {
      const d = 64
      const shape = { lengths: [100], heads: 1, d, rate: 0.1 }
      const { queryIndices, inputs } = given(shape)
      const { dk } = within(precision, () => computed(shape, queryIndices, inputs))
      const together = new Float64Array(d)
      for (const [i, value] of dk.entries()) together[i % d]! += value
      const largest = Math.max(...dk.map(Math.abs))
      expect(Math.max(...together.map(Math.abs)) / largest).toBeLessThan(2e-4)
    },
  )

  test("runs on tensor cores unless the precision is fp32", () => {
    const shape = cases[1]!
    const { queryIndices, inputs } = given(shape)
    const launched = (precision: Precision) =>
      within(precision, () => Object.keys(launchesOf(() => computed(shape, queryIndices, inputs))).sort())
    const named = (end: string) =>
      ["attention", "attention_key_gradient", "attention_query_gradient"]
        .map((name) => `${name}_${end}`)
        .sort()
    expect(launched("fp32")).toEqual(named("64"))
    expect(launched("tf32")).toEqual(named("tf32_64"))
    expect(launched("bf16")).toEqual(named("bf16_64"))
  })

  test("refuses heads of more than 128 features, which its tiles have no room for", () => {
    const shape = { lengths: [2], heads: 1, d: 129, rate: 0 }
    const { queryIndices, inputs } = given(shape)
    expect(() => computed(shape, queryIndices, inputs)).toThrow(
      "expected at most 128 features in each head, found 129",
    )
  })
})
