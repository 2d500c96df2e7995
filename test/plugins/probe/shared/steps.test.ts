import { describe, expect, test } from "bun:test"
import { type } from "arktype"
import { chooseSteps, Steps } from "../../../../plugins/probe/shared/steps.ts"

/** RTE: three epochs of 156 updates. */
const rte = { steps: 468, warmupSteps: 47 }

const chosen = (given: typeof Steps.inferIn, run = rte): readonly number[] => {
  const steps = Steps(given)
  if (steps instanceof type.errors) throw new Error(steps.summary)
  return chooseSteps(steps, run)
}

describe("the steps of the study's", () => {
  test("figure 3: before fine-tuning", () => expect(chosen({ at: [0] })).toEqual([0]))

  test("figure 2: 1, and every 47", () => {
    const expected = [1, 47, 94, 141, 188, 235, 282, 329, 376, 423, 468]
    expect(chosen({ at: [1], every: "warmup", last: true })).toEqual(expected)
  })

  test("figure 4: the first four, and every 47", () => {
    const expected = [1, 2, 3, 4, 47, 94, 141, 188, 235, 282, 329, 376, 423, 468]
    expect(chosen({ at: [1, 2, 3, 4], every: "warmup", last: true })).toEqual(expected)
  })
})

test("the same settings for a run of another length", () => {
  const run = { steps: 20, warmupSteps: 5 }
  expect(chosen({ at: [1, 2, 3, 4], every: "warmup", last: true }, run)).toEqual([1, 2, 3, 4, 5, 10, 15, 20])
  expect(chosen({ every: 7 }, run)).toEqual([7, 14])
  expect(chosen({ every: 50 }, run)).toEqual([])
  expect(chosen({ at: [20, 3, 3, 0] }, run)).toEqual([0, 3, 20])
  expect(chosen({}, run)).toEqual([])
})

test("a step beyond the end, or multiples of the warm-up of a run without one, are refused", () => {
  const run = { steps: 3, warmupSteps: 0 }
  expect(() => chosen({ at: [1, 4, 5] }, run)).toThrow(
    "at: must be from 0 to 3, the end of the run (was 4, 5)",
  )
  expect(() => chosen({ every: "warmup" }, run)).toThrow(
    "every: must be a number, since the run has no warm-up",
  )
})

test.each([
  [{ at: [-1] }, "at[0]"],
  [{ at: [1.5] }, "at[0] must be an integer"],
  [{ every: 0 }, "every must be"],
  [{ every: "epoch" }, "every must be"],
  [{ lst: true }, "lst must be removed"],
])("%j is refused", (given, message) => {
  const steps = Steps(given)
  expect(steps instanceof type.errors ? steps.summary : "").toContain(message)
})
