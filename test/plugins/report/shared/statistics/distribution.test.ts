import { describe, expect, test } from "bun:test"
import {
  normalCdf,
  normalQuantile,
  studentTwoSided,
} from "../../../../../plugins/report/shared/statistics/distribution.ts"

const close = (value: number, expected: number, relative = 1e-12) =>
  expect(Math.abs(value - expected)).toBeLessThanOrEqual(relative * Math.abs(expected))

describe("Student's t", () => {
  test("quantiles agree with scipy.stats.t.ppf", () => {
    close(studentTwoSided(0.95, 2), 4.302652729749462)
    close(studentTwoSided(0.95, 3), 3.1824463052837078)
    close(studentTwoSided(0.95, 9), 2.262157162798205)
    close(studentTwoSided(0.95, 29), 2.045229642132703)
    close(studentTwoSided(0.99, 30), 2.7499956535672254)
    close(studentTwoSided(0.95, 1000), 1.9623390808264083, 1e-11)
  })

  test("closed forms: df 1 is Cauchy's tan(πp/2), df 2 is 2p√(2/(4(1−p²)))", () => {
    for (const p of [0.1, 0.5, 0.9, 0.95, 0.99]) {
      close(studentTwoSided(p, 1), Math.tan((Math.PI * p) / 2))
      close(studentTwoSided(p, 2), p * Math.sqrt(2 / (1 - p * p)))
    }
  })
})

describe("normal", () => {
  test("distribution function agrees with scipy.stats.norm.cdf", () => {
    close(normalCdf(-8), 6.22096057427174e-16, 1e-7)
    close(normalCdf(-5), 2.866515718791933e-7, 1e-9)
    close(normalCdf(-1.96), 0.024997895148220435)
    close(normalCdf(0), 0.5)
    close(normalCdf(1), 0.8413447460685429)
    close(normalCdf(3), 0.9986501019683699)
    expect(normalCdf(-38)).toBe(0)
    expect(normalCdf(38)).toBe(1)
  })

  test("quantile inverts it and is symmetric", () => {
    close(normalQuantile(0.025), -1.9599639845400545)
    close(normalQuantile(0.975), 1.959963984540054)
    close(normalQuantile(0.001), -3.090232306167813)
    for (const p of [1e-9, 0.01, 0.3, 0.5, 0.8, 0.999]) close(normalCdf(normalQuantile(p)), p, 1e-11)
    expect(normalQuantile(0.5)).toBe(0)
    expect(normalQuantile(0)).toBe(-Infinity)
    expect(normalQuantile(1)).toBe(Infinity)
  })
})
