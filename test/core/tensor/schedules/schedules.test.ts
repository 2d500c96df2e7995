import { expect, test } from "bun:test"
import { learningRates } from "../../../../core/tensor/schedule.ts"
import { constantSchedule } from "../../../../core/tensor/schedules/constant.ts"
import { cosineSchedule } from "../../../../core/tensor/schedules/cosine.ts"
import { linearSchedule } from "../../../../core/tensor/schedules/linear.ts"

// transformers' get_…_schedule_with_warmup(optimizer, 3, 10).
test.each([
  [
    "linear",
    linearSchedule({}),
    [
      0.0, 0.333333333, 0.666666667, 1.0, 0.857142857, 0.714285714, 0.571428571, 0.428571429, 0.285714286,
      0.142857143,
    ],
  ],
  [
    "cosine",
    cosineSchedule({}),
    [
      0.0, 0.333333333, 0.666666667, 1.0, 0.950484434, 0.811744901, 0.611260467, 0.388739533, 0.188255099,
      0.049515566,
    ],
  ],
  ["constant", constantSchedule({}), [0.0, 0.333333333, 0.666666667, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]],
])("%s is that of transformers, with warm-up", (_, schedule, expected) => {
  const rates = learningRates(schedule, 2e-5, 10, 3)
  for (const [s, rate] of expected.entries()) expect(rates[s]! / 2e-5).toBeCloseTo(rate, 7)
  expect(rates).toHaveLength(10)
})

test("without a warm-up every schedule begins at the peak", () => {
  for (const schedule of [linearSchedule({}), cosineSchedule({}), constantSchedule({})]) {
    expect(learningRates(schedule, 0.25, 4, 0)[0]).toBe(0.25)
  }
})
