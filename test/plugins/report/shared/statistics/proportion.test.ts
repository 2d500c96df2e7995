import { describe, expect, test } from "bun:test"
import {
  clopperPearson,
  mcNemar,
  mcNemarPower,
  mcNemarSeeds,
  newcombePaired,
  wilson,
} from "../../../../../plugins/report/shared/statistics/proportion.ts"
import { signFlip } from "../../../../../plugins/report/shared/statistics/sign-flip.ts"
import { fisherExact, newcombeUnpaired } from "../../../../../plugins/report/shared/statistics/two-by-two.ts"

describe("intervals of a proportion", () => {
  test("agree with scipy.stats.binomtest(k, n).proportion_ci", () => {
    const w = wilson(7, 30, 0.95)
    expect(w.low).toBeCloseTo(0.11792388144489496, 12)
    expect(w.high).toBeCloseTo(0.40928326158122164, 12)
    const exact = clopperPearson(7, 30, 0.95)
    expect(exact.low).toBeCloseTo(0.09933786495802023, 12)
    expect(exact.high).toBeCloseTo(0.42283652297821944, 12)
  })

  test("closed forms at the ends: (α/2)^(1/n), and n/(n + z²)", () => {
    expect(clopperPearson(0, 30, 0.95)).toEqual({ low: 0, high: expect.closeTo(1 - 0.025 ** (1 / 30), 12) })
    expect(clopperPearson(30, 30, 0.95)).toEqual({ low: expect.closeTo(0.025 ** (1 / 30), 12), high: 1 })
    const z2 = 1.959963984540054 ** 2
    expect(wilson(30, 30, 0.95)).toEqual({ low: expect.closeTo(30 / (30 + z2), 12), high: 1 })
  })
})

describe("McNemar's exact test", () => {
  test("is the binomial test of the pairs that differ", () => {
    // scipy.stats.binomtest(2, 11)
    expect(mcNemar(2, 9)).toBeCloseTo(0.0654296875, 12)
    expect(mcNemar(0, 7)).toBeCloseTo(2 ** -6, 12)
    expect(mcNemar(0, 0)).toBe(1)
    expect(mcNemar(3, 3)).toBe(1)
  })

  test("its power, counted over all outcomes of pairs", () => {
    const [n, first, second] = [7, 0.05, 0.6]
    let power = 0
    const factorial = (k: number): number => (k < 2 ? 1 : k * factorial(k - 1))
    for (let b = 0; b <= n; b++) {
      for (let c = 0; b + c <= n; c++) {
        const ways = factorial(n) / factorial(b) / factorial(c) / factorial(n - b - c)
        const probability = ways * first ** b * second ** c * (1 - first - second) ** (n - b - c)
        if (c > b && mcNemar(b, c) <= 0.05) power += probability
      }
    }
    expect(mcNemarPower(n, first, second, 0.05)).toBeCloseTo(power, 12)
  })

  test("seeds needed: exactly for few, by Connor's formula for many", () => {
    const few = mcNemarSeeds(0, 7 / 30, 0.05)!
    expect(mcNemarPower(few, 0, 7 / 30, 0.05)).toBeGreaterThanOrEqual(0.8)
    expect(mcNemarPower(few - 1, 0, 7 / 30, 0.05)).toBeLessThan(0.8)
    // (1.96 √0.2 + 0.8416 √(0.2 − 0.02²))² / 0.02²
    expect(mcNemarSeeds(0.09, 0.11, 0.05)).toBe(3923)
    expect(mcNemarSeeds(0.1, 0.1, 0.05)).toBeNull()
  })
})

describe("sign flips", () => {
  test("of failures on two sides are McNemar's test", () => {
    const differences = [1, 1, 0, -1, 1, 1, 1, 0, 1, -1, 1, 1, 1]
    expect(signFlip(differences)).toBeCloseTo(mcNemar(2, 9), 12)
  })

  test("of any numbers, counted over all signs", () => {
    const values = [0.5, -1.25, 2.5, 3.1, -0.2, 1.7]
    const observed = Math.abs(values.reduce((a, b) => a + b))
    let extreme = 0
    for (let signs = 0; signs < 64; signs++) {
      const sum = values.reduce((all, value, i) => all + ((signs >> i) & 1 ? value : -value), 0)
      if (Math.abs(sum) >= observed - 1e-9) extreme++
    }
    expect(signFlip(values)).toBe(extreme / 64)
    expect(signFlip([1.5, -1.5])).toBe(1)
    expect(signFlip([0, 0])).toBe(1)
  })

  test("drawn for many values, near the exact p of integers of the same sizes", () => {
    const sizes = Array.from({ length: 20 }, (_, i) => (i % 3 === 0 ? -1 : 1) * (i + 1))
    const drawn = signFlip(sizes.map((size) => size + 1e-9 * Math.sign(size)))
    expect(Math.abs(drawn - signFlip(sizes))).toBeLessThan(0.015)
  })
})

describe("two proportions", () => {
  test("Fisher's exact test agrees with scipy.stats.fisher_exact", () => {
    expect(fisherExact({ count: 0, of: 30 }, { count: 7, of: 30 })).toBeCloseTo(0.010542535074203226, 12)
    expect(fisherExact({ count: 14, of: 30 }, { count: 25, of: 30 })).toBeCloseTo(0.006107224773226807, 12)
    expect(fisherExact({ count: 3, of: 10 }, { count: 3, of: 10 })).toBe(1)
  })

  test("Newcombe's intervals: published examples", () => {
    // Newcombe 1998, independent proportions, method 10: 56/70 − 48/80, 9/10 − 3/10, 10/10 − 0/20
    const unpaired = (a: number, m: number, b: number, n: number) =>
      Object.values(newcombeUnpaired({ count: a, of: m }, { count: b, of: n }, 0.95)).map((x) =>
        Number(x.toFixed(4)),
      )
    expect(unpaired(56, 70, 48, 80)).toEqual([0.0524, 0.3339])
    expect(unpaired(9, 10, 3, 10)).toEqual([0.1705, 0.809])
    expect(unpaired(10, 10, 0, 20)).toEqual([0.6791, 1])
    // Without pairs that differ, each side's own interval counts, as if unpaired but for the correlation.
    const same = newcombePaired({ both: 5, first: 0, second: 0, neither: 5 }, 0.95)
    expect(same.low).toBeCloseTo(-same.high, 12)
  })
})
