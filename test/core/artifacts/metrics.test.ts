import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { matthews } from "../../../core/artifacts/metrics/matthews.ts"
import { pearson } from "../../../core/artifacts/metrics/pearson.ts"
import { quotient } from "../../../core/artifacts/metrics/ratio.ts"
import { spearman } from "../../../core/artifacts/metrics/spearman.ts"
import { isNoBetter, type MetricName, metricProblems, score } from "../../../core/artifacts/metrics.ts"

interface Case {
  readonly name: string
  readonly predictions: readonly number[]
  readonly labels: readonly number[]
}
const fixture = join(import.meta.dir, "../../fixtures/metrics/expected.json")
const expected: {
  readonly classes: readonly (Case & { accuracy: number; matthews: number; f1?: number })[]
  readonly scores: readonly (Case & { pearson: number | null; spearman: number | null })[]
} = JSON.parse(readFileSync(fixture, "utf8"))

const of = (metric: MetricName, predictions: readonly number[], labels: readonly number[], baseline = 0) =>
  score(metric, { predictions: Float64Array.from(predictions), labels: Float64Array.from(labels), baseline })

describe("of classes, scikit-learn's figures", () => {
  test.each(expected.classes.map((each) => [each.name, each] as const))("%s", (_, each) => {
    const { predictions, labels } = each
    for (const metric of ["accuracy", "matthews", "f1"] as const) {
      if (each[metric] !== undefined)
        expect(quotient(of(metric, predictions, labels).value)).toBeCloseTo(each[metric], 14)
    }
    expect(matthews(Float64Array.from(labels), Float64Array.from(predictions))).toBeCloseTo(each.matthews, 14)
  })
})

describe("of scores, SciPy's figures", () => {
  test.each(expected.scores.map((each) => [each.name, each] as const))("%s", (_, each) => {
    const { predictions, labels } = each
    // Far from 0 the mean costs digits, in SciPy as here.
    const digits = each.name === "far from zero" ? 8 : 14
    for (const [name, correlation] of Object.entries({ pearson, spearman })) {
      const found = correlation(predictions, labels)
      const figure = each[name as "pearson" | "spearman"]
      if (figure === null) expect(found).toBeNaN()
      else expect(found).toBeCloseTo(figure, digits)
      expect(quotient(of(name as MetricName, predictions, labels).value)).toBe(figure === null ? 0 : found)
      expect(Math.abs(found) > 1).toBe(false)
    }
  })
})

describe("a correlation", () => {
  test("of scores of different lengths is refused", () => {
    expect(() => pearson([1, 2], [1])).toThrow("expected equal lengths, found 2 and 1")
  })

  test("with a NaN, or of fewer than two pairs, is NaN", () => {
    expect(pearson([1, Number.NaN, 3], [1, 2, 3])).toBeNaN()
    expect(pearson([1], [2])).toBeNaN()
    expect(pearson([], [])).toBeNaN()
  })

  test("of a constant whose mean is rounded is NaN", () => {
    const constant = new Array<number>(10).fill(0.1)
    expect(constant.reduce((sum, value) => sum + value, 0) / 10).not.toBe(0.1)
    expect(
      pearson(
        constant,
        constant.map((_, i) => i),
      ),
    ).toBeNaN()
  })
})

describe("better than the baseline", () => {
  test.each<[MetricName, string, readonly number[], readonly number[], number, boolean]>([
    ["accuracy", "more are right", [1, 1, 1, 0], [1, 1, 1, 0], 1, false],
    ["accuracy", "as many are right", [1, 0, 0, 1], [1, 1, 0, 1], 1, true],
    // The baseline has F1 = 2·2 / (4 + 2) = 2/3, and predictions without the positive class have 0.
    ["f1", "of the positive class is higher", [1, 1, 0, 0], [1, 1, 0, 0], 1, false],
    ["f1", "is that of the baseline", [1, 1, 1, 1], [1, 1, 0, 0], 1, true],
    ["f1", "is 0", [0, 0, 0, 0], [1, 1, 0, 0], 1, true],
    // A baseline that never predicts the positive class has F1 = 0.
    ["f1", "is above that of the other class", [0, 1, 0, 0], [0, 1, 1, 0], 0, false],
    ["matthews", "is above 0", [1, 1, 0, 1], [1, 1, 0, 0], 1, false],
    ["matthews", "is 0: all predictions are of one class", [0, 0, 0, 0], [1, 1, 0, 0], 1, true],
    ["matthews", "is 0: they are independent of the labels", [1, 0, 1, 0], [1, 1, 0, 0], 1, true],
    ["matthews", "is below 0", [0, 0, 1, 1], [1, 1, 0, 0], 1, true],
    ["pearson", "is above 0", [1, 2, 4], [1, 2, 3], 2, false],
    ["pearson", "is undefined: the predictions are constant", [2, 2, 2], [1, 2, 3], 2, true],
    ["pearson", "is below 0", [3, 2, 1], [1, 2, 3], 2, true],
    ["spearman", "is above 0", [1, 2, 9], [1, 2, 3], 2, false],
    ["spearman", "is undefined: the predictions are constant", [2, 2, 2], [1, 2, 3], 2, true],
  ])("%s: %s", (metric, _, predictions, labels, baseline, noBetter) => {
    expect(isNoBetter(of(metric, predictions, labels, baseline))).toBe(noBetter)
  })

  test("is decided by counts: equal fractions of other totals are no better", () => {
    const third = { numerator: 1, denominator: 3 }
    const compared = (numerator: number, denominator: number) =>
      isNoBetter({ metric: "accuracy", value: { numerator, denominator }, baseline: third })
    expect(compared(123, 369)).toBe(true)
    expect(compared(124, 369)).toBe(false)
  })
})

test("metrics that do not fit the labels are named", () => {
  expect(metricProblems(["accuracy", "f1", "matthews"], ["no", "yes"])).toEqual([])
  expect(metricProblems(["pearson", "spearman"], null)).toEqual([])
  expect(metricProblems(["f1"], ["a", "b", "c"])).toEqual(["the metric f1 needs two classes, found 3"])
  expect(metricProblems(["accuracy", "spearman"], ["a", "b"])).toEqual([
    "the metric spearman compares scores, but the labels are classes",
  ])
  expect(metricProblems(["accuracy"], null)).toEqual([
    "the metric accuracy compares classes, but the labels are scores",
  ])
})
