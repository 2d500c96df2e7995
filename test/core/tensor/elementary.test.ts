import { describe, expect, test } from "bun:test"
import { acos, cos, exp, hypot, log, log1p, power, sin } from "../../../core/tensor/elementary.ts"
import { stream, uniform } from "../../../core/tensor/stream.ts"

/** Numbers in [from, to), evenly drawn. */
const numbers = (count: number, from: number, to: number, site = 0): readonly number[] => {
  const [high, low] = [0, 1].map((iteration) =>
    uniform({ stream: stream(1, "elementary"), site, iteration }, count),
  )
  return Array.from(high!, (u, i) => from + (u + low![i]! * 2 ** -24) * (to - from))
}
/** Expects relative errors below 4e-16, one of which Math's own functions may have. */
const expectClose = (ours: (x: number) => number, theirs: (x: number) => number, at: readonly number[]) => {
  let worst = 0
  for (const x of at) {
    const expected = theirs(x)
    const error = expected === ours(x) ? 0 : Math.abs(ours(x) / expected - 1)
    worst = Math.max(worst, error)
  }
  expect(worst).toBeLessThan(4.5e-16)
}

/** ln x by its definition in integers: 200 bits of ln((1 + t) / (1 − t)) = 2 (t + t³/3 + …) with t = (x − 1) / (x + 1). */
const exactLog = (numerator: bigint, denominator: bigint): number => {
  const one = 1n << 200n
  const t = ((numerator - denominator) * one) / (numerator + denominator)
  const t2 = (t * t) / one
  let power = t
  let sum = 0n
  for (let k = 1n; power !== 0n; k += 2n) {
    sum += power / k
    power = (power * t2) / one
  }
  return Number((2n * sum * (1n << 80n)) / one) / 2 ** 80
}

describe("exp", () => {
  test("agrees with Math.exp wherever it is finite", () => {
    expectClose(exp, Math.exp, numbers(20_000, -700, 709.7))
    expectClose(exp, Math.exp, numbers(20_000, -1, 1, 1))
    expect(exp(0)).toBe(1)
    expect(exp(1)).toBeCloseTo(Math.E, 15)
  })

  test("goes to 0 through subnormal numbers, and to infinity", () => {
    expect(exp(-744)).toBe(2 * 2 ** -1074)
    expect([exp(-746), exp(-800), exp(Number.NEGATIVE_INFINITY)]).toEqual([0, 0, 0])
    expect(exp(709.78)).toBeLessThan(Number.POSITIVE_INFINITY)
    expect([exp(709.79), exp(800), exp(Number.POSITIVE_INFINITY)]).toEqual(
      new Array(3).fill(Number.POSITIVE_INFINITY),
    )
    expect(exp(Number.NaN)).toBeNaN()
  })
})

describe("log", () => {
  test("agrees with Math.log over all magnitudes", () => {
    expectClose(log, Math.log, numbers(20_000, 0, 4))
    expectClose(
      log,
      Math.log,
      numbers(20_000, -1020, 1020, 1).map((k) => 2 ** k),
    )
    expectClose(log, Math.log, [Number.MIN_VALUE, 2 ** -1030, Number.MAX_VALUE, 1 + 2 ** -52, 1 - 2 ** -53])
  })

  test("agrees with a series in integers of 200 bits", () => {
    for (const [a, b] of [
      [3n, 2n],
      [999n, 1000n],
      [1001n, 1000n],
      [7n, 5n],
    ] as const) {
      const expected = exactLog(a, b)
      expect(Math.abs(log(Number(a) / Number(b)) - expected)).toBeLessThan(2.5e-16)
    }
  })

  test("is −∞ at 0 and nothing below", () => {
    expect(log(1)).toBe(0)
    expect([log(0), log(Number.POSITIVE_INFINITY)]).toEqual([
      Number.NEGATIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ])
    expect([log(-1), log(Number.NaN)]).toEqual([Number.NaN, Number.NaN])
  })
})

test("log1p agrees with Math.log1p, also for the least arguments", () => {
  const small = Array.from({ length: 60 }, (_, k) => 2 ** -(k + 1))
  expectClose(log1p, Math.log1p, [...numbers(20_000, -0.99, 3), ...small, ...small.map((x) => -x)])
  expect([log1p(0), log1p(-1), log1p(Number.POSITIVE_INFINITY)]).toEqual([
    0,
    Number.NEGATIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ])
  expect(log1p(-2)).toBeNaN()
})

test("hypot is the length of a vector", () => {
  expect([hypot(3, 4), hypot(2, -3, 6), hypot(), hypot(-7)]).toEqual([5, 7, 0, 7])
})

test("powers are those of repeated multiplication", () => {
  for (const base of [0.9, 0.999, 1.5]) {
    let product = 1
    for (let step = 1; step <= 400; step++) {
      product *= base
      const bound = 1e-15 * (1 + Math.abs(step * Math.log(base))) + 2e-16 * step
      expect(Math.abs(power(base, step) / product - 1)).toBeLessThan(bound)
    }
  }
  expect(power(7, -0.8)).toBeCloseTo(7 ** -0.8, 15)
})

describe("circular functions", () => {
  test("agree with Math's away from their zeros", () => {
    const angles = numbers(20_000, -100, 100)
    expectClose(
      sin,
      Math.sin,
      angles.filter((x) => Math.abs(Math.sin(x)) > 1e-3),
    )
    expectClose(
      cos,
      Math.cos,
      angles.filter((x) => Math.abs(Math.cos(x)) > 1e-3),
    )
    expect([sin(0), cos(0)]).toEqual([0, 1])
    for (const x of [Math.PI, 1e6]) {
      expect(sin(x)).toBeCloseTo(Math.sin(x), 15)
      expect(cos(x)).toBeCloseTo(Math.cos(x), 15)
    }
  })

  test("refuse angles that they cannot reduce", () => {
    expect(() => sin(2 ** 20)).toThrow("expected an angle below 2^20 radians, found 1048576")
    expect(() => cos(Number.NaN)).toThrow(RangeError)
  })

  test("acos agrees with Math.acos, also where the angle is small", () => {
    expectClose(acos, Math.acos, numbers(20_000, -1, 1))
    expectClose(
      acos,
      Math.acos,
      Array.from({ length: 50 }, (_, k) => 1 - 2 ** -(k + 2)),
    )
    expect([acos(1), acos(0), acos(-1)]).toEqual([0, Math.PI / 2, Math.PI])
    expect(acos(1.1)).toBeNaN()
  })
})
