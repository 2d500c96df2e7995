import { describe, expect, test } from "bun:test"
import { learningRates, stepsIn } from "../../../core/tensor/schedule.ts"
import { linearSchedule } from "../../../core/tensor/schedules/linear.ts"

describe("linear schedule", () => {
  test("RTE: 468 updates with a warm-up of 47", () => {
    const multipliers = learningRates(linearSchedule({}), 1, 468, 47)
    expect(multipliers).toHaveLength(468)
    for (const [s, expected] of [
      [0, 0],
      [1, 1 / 47],
      [46, 46 / 47],
      [47, 1],
      [48, 420 / 421],
      [467, 1 / 421],
    ] as const) {
      expect(multipliers[s]).toBe(expected)
    }
    expect(Math.max(...multipliers)).toBe(1)
    expect(learningRates(linearSchedule({}), 2e-5, 468, 47)[47]).toBe(2e-5)
  })

  test("without a warm-up the first update has the peak", () => {
    expect([...learningRates(linearSchedule({}), 0.5, 4, 0)]).toEqual([0.5, 0.375, 0.25, 0.125])
  })

  test("all updates may be warm-up, and there may be no updates", () => {
    expect([...learningRates(linearSchedule({}), 1, 4, 4)]).toEqual([0, 0.25, 0.5, 0.75])
    expect(learningRates(linearSchedule({}), 1, 0, 0)).toHaveLength(0)
  })

  test.each([
    [4, 5],
    [4, -1],
    [4, 1.5],
    [4.5, 1],
    [4, Number.NaN],
  ])("refuses %p steps with a warm-up of %p", (steps, warmupSteps) => {
    expect(() => learningRates(linearSchedule({}), 1, steps, warmupSteps)).toThrow("does not fit")
  })
})

test.each([
  [0.3, 156, 47],
  [3, 156, 468],
  [0, 156, 0],
  // Products that rounding puts just above a whole number.
  [0.7, 10, 7],
  [0.1, 30, 3],
  [1.1, 10, 11],
  [0.001, 10, 1],
])("%p epochs of %p updates are %p", (epochs, perEpoch, steps) => {
  expect(stepsIn(epochs, perEpoch)).toBe(steps)
})
