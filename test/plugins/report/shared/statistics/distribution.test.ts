import { describe, expect, test } from "bun:test"
import {
  betaCdf,
  betaQuantile,
  binomialProbabilities,
  chiSquareCdf,
  chiSquareQuantile,
  logGamma,
  normalCdf,
  normalQuantile,
  studentTails,
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

describe("beta, χ² and Γ agree with scipy", () => {
  test("scipy.special.gammaln, betainc, scipy.stats.beta.ppf", () => {
    close(logGamma(0.3), 1.0957979948180756)
    close(logGamma(30.5), 72.9534711841694)
    close(betaCdf(0.2, 2.5, 7), 0.36749651990402316)
    close(betaQuantile(0.025, 3, 28), 0.02111713702972257)
    expect([betaCdf(0, 2, 3), betaCdf(1, 2, 3)]).toEqual([0, 1])
  })

  test("scipy.stats.chi2", () => {
    close(chiSquareCdf(3, 2.2), 0.7444103944456348)
    close(chiSquareCdf(30, 9), 0.9995612782290205)
    close(chiSquareQuantile(0.025, 29), 16.04707169536489)
    close(chiSquareQuantile(0.975, 0.4), 3.022205951977156)
    expect(chiSquareCdf(0, 3)).toBe(0)
  })

  test("scipy.stats.t with any degrees of freedom", () => {
    close(studentTwoSided(0.95, 2.5), 3.5746548420036817)
    close(studentTails(2.1, 3.7), 0.10926470508222474)
    close(studentTails(50, 29), 1.0748623985572444e-29)
  })

  test("binomial probabilities: closed forms, and one certain outcome", () => {
    expect([...binomialProbabilities(3, 0.5)]).toEqual(
      [0.125, 0.375, 0.375, 0.125].map((p) => expect.closeTo(p, 12)),
    )
    expect([...binomialProbabilities(2, 0)]).toEqual([1, 0, 0])
    expect([...binomialProbabilities(2, 1)]).toEqual([0, 0, 1])
  })
})
