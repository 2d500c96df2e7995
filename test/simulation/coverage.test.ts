import { describe, expect, test } from "bun:test"
import { coverageOfSpread, sizeOfCrossed, sizeOfPaired } from "./coverage.ts"

/** The figures are those of fixed streams; `coverage.ts` prints more of them, more exactly. */
describe("coverage of S", () => {
  test("covers at a failure rate of 3 %, where the bootstrap does not", () => {
    expect(coverageOfSpread("mixture", 0.03, 30, 60)).toBeGreaterThanOrEqual(0.95)
    expect(coverageOfSpread("BCa", 0.03, 30, 10)).toBeLessThan(0.8)
  })
})

describe("size", () => {
  test("of Brown–Forsythe on pairs and of the paired t test", () => {
    expect(sizeOfPaired("S: Brown–Forsythe, pairs", 0.1, 10, 100)).toBeLessThan(0.08)
    expect(sizeOfPaired("means: paired t", 0.25, 10, 100)).toBeLessThan(0.08)
  })

  test("three checkpoints that differ: seeds alone reject far too often, crossed random effects do not", () => {
    const at = { checkpoints: 3, seeds: 30, rate: 0.25, deviation: 6, rateGap: 0.2 }
    expect(sizeOfCrossed("means: paired t, one mean a seed", at, 60)).toBeGreaterThan(0.2)
    expect(sizeOfCrossed("means: crossed t", at, 60)).toBeLessThan(0.1)
  })
})
