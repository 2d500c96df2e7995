import { describe, expect, test } from "bun:test"
import {
  fillDropoutMask,
  integers,
  normal,
  permutation,
  stream,
  uniform,
} from "../../../core/tensor/stream.ts"

const draw = (seed: number, name: string, site = 0, iteration = 0) => ({
  stream: stream(seed, name),
  site,
  iteration,
})

const mean = (values: ArrayLike<number>) => {
  let sum = 0
  for (let index = 0; index < values.length; index++) sum += values[index]!
  return sum / values.length
}

describe("stream", () => {
  test("gives numbers that never change: checkpoints and figures depend on them", () => {
    expect(stream(42, "head")).toEqual({ seed: 42, nameHash: 845761475 })
    expect([...integers(draw(42, "head", 3, 2 ** 33 + 5), 5, 1000)]).toEqual([609, 699, 642, 478, 743])
    expect([...normal(draw(42, "head"), 3)]).toEqual([
      -0.31098589301109314, -0.5029261708259583, -0.2556425929069519,
    ])
    expect([...permutation(stream(42, "order"), 8, 1)]).toEqual([1, 4, 6, 7, 0, 5, 3, 2])
  })

  test("seed, name, site, and the low and high word of the iteration each change the numbers", () => {
    const draws = [
      draw(1, "head"),
      draw(2, "head"),
      draw(1, "order"),
      draw(1, "head", 1),
      draw(1, "head", 0, 1),
      draw(1, "head", 0, 2 ** 32),
    ]
    expect(new Set(draws.map((one) => uniform(one, 8).join())).size).toBe(draws.length)
  })

  test.each([-1, 1.5, 2 ** 32, Number.NaN])("refuses the seed %p", (seed) => {
    expect(() => stream(seed, "head")).toThrow(RangeError)
  })

  test.each([
    { site: -1, iteration: 0 },
    { site: 2 ** 32, iteration: 0 },
    { site: 0, iteration: -1 },
    { site: 0, iteration: 2 ** 53 },
    { site: 0, iteration: 0.5 },
  ])("refuses site $site, iteration $iteration", ({ site, iteration }) => {
    expect(() => uniform(draw(1, "head", site, iteration), 1)).toThrow(RangeError)
  })
})

describe("numbers", () => {
  test("uniform: in [0, 1), with the moments and the flatness of the distribution", () => {
    const values = uniform(draw(3, "probe"), 100_000)
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true)
    expect(Math.abs(mean(values) - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / 1e5))
    const counts = new Array<number>(100).fill(0)
    for (const value of values) counts[Math.floor(value * 100)]! += 1
    const chiSquare = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)
    expect(chiSquare).toBeLessThan(150) // 99 degrees of freedom: above 149.4 once in a thousand
    expect(chiSquare).toBeGreaterThan(60)
  })

  test("a shorter draw is the beginning of a longer one", () => {
    const long = uniform(draw(3, "probe"), 33)
    for (const count of [0, 1, 15, 17]) expect(uniform(draw(3, "probe"), count)).toEqual(long.slice(0, count))
  })

  test("normal: the quantile of the same words, by integrating the density", () => {
    const words = uniform(draw(5, "head"), 2000)
    const values = normal(draw(5, "head"), 2000)
    const density = (x: number) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI)
    for (const [index, x] of values.entries()) {
      const steps = 200
      const h = x / steps
      let sum = density(0) + density(x)
      for (let k = 1; k < steps; k++) sum += (k % 2 === 1 ? 4 : 2) * density(k * h)
      // The uniform number drops the word's last 8 bits, and x is rounded to float32.
      expect(Math.abs(0.5 + (sum * h) / 3 - words[index]!)).toBeLessThan(2 ** -23)
    }
  })

  test("normal: moments and tails of a million, and the requested standard deviation", () => {
    const values = normal(draw(6, "head"), 1_000_000, 0.02)
    const scaled = values.map((value) => value / 0.02)
    expect(Math.abs(mean(scaled))).toBeLessThan(4e-3)
    expect(Math.abs(mean(scaled.map((value) => value ** 2)) - 1)).toBeLessThan(6e-3)
    expect(Math.abs(mean(scaled.map((value) => value ** 4)) - 3)).toBeLessThan(0.06)
    const beyond = scaled.filter((value) => Math.abs(value) > 1.959963984540054).length
    expect(Math.abs(beyond - 50_000)).toBeLessThan(900)
  })

  test("integers: each below the bound about equally often", () => {
    const counts = [0, 0, 0, 0, 0, 0, 0]
    for (const value of integers(draw(7, "probe"), 70_000, 7)) counts[value]! += 1
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400)
    expect(() => integers(draw(7, "probe"), 1, 0)).toThrow(RangeError)
    expect(() => integers(draw(7, "probe"), 1, 2.5)).toThrow(RangeError)
  })
})

describe("permutation", () => {
  test("contains every index once, in a different order each epoch", () => {
    const order = stream(1, "order")
    for (const n of [0, 1, 2, 15, 2490]) {
      expect([...permutation(order, n, 0)].sort((a, b) => a - b)).toEqual(
        Array.from({ length: n }, (_, i) => i),
      )
    }
    expect(permutation(order, 100, 0)).not.toEqual(permutation(order, 100, 1))
    expect(permutation(order, 100, 1)).toEqual(permutation(order, 100, 1))
  })

  test("gives all 24 orders of four about equally often", () => {
    const counts = new Map<string, number>()
    for (let epoch = 0; epoch < 24_000; epoch++) {
      const key = permutation(stream(2, "order"), 4, epoch).join()
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    expect(counts.size).toBe(24)
    let chiSquare = 0
    for (const count of counts.values()) chiSquare += (count - 1000) ** 2 / 1000
    expect(chiSquare).toBeLessThan(50) // 23 degrees of freedom: above 49.7 once in a thousand
  })
})

describe("dropout mask", () => {
  test("drops exactly the elements whose number is below the rate, across the pieces it is filled in", () => {
    const length = 2 * 4096 + 17
    const mask = new Float32Array(length)
    fillDropoutMask(mask, { ...draw(1, "dropout", 4, 9), rate: 0.25 })
    const numbers = uniform(draw(1, "dropout", 4, 9), length)
    expect([...mask]).toEqual([...numbers].map((number) => (number < 0.25 ? 0 : Math.fround(1 / 0.75))))
  })

  test("has mean 1", () => {
    for (const rate of [0.05, 0.1, 0.5]) {
      const mask = new Float32Array(200_000)
      fillDropoutMask(mask, { ...draw(8, "dropout"), rate })
      expect(Math.abs(mean(mask) - 1)).toBeLessThan(4 * Math.sqrt(rate / (1 - rate) / mask.length))
    }
  })

  test("refuses rates outside [0, 1)", () => {
    for (const rate of [-0.1, 1, Number.NaN]) {
      expect(() => fillDropoutMask(new Float32Array(1), { ...draw(1, "dropout"), rate })).toThrow(RangeError)
    }
  })
})
