import { expect, test } from "bun:test"
import { cohort, grid, mapCohort } from "../../../core/api/pipeline.ts"
import { source, walk, watchSum } from "../sample/plugins.ts"

test("a grid makes every combination, the last axis varying fastest", () => {
  expect(grid({ arm: ["a", "b"], lr: [1, 2, 3] }, ({ arm, lr }) => `${arm}${lr}`)).toEqual([
    "a1",
    "a2",
    "a3",
    "b1",
    "b2",
    "b3",
  ])
})

test("an axis or a cohort that is empty or repeats a value is refused by name", () => {
  expect(() => grid({ arm: ["a"], lr: [1e-5, 2, 0.00001] }, () => 0)).toThrow(
    "lr: expected different values, found 1e-5 twice",
  )
  expect(() => grid({ arm: ["a"], lr: [] }, () => 0)).toThrow("lr: expected at least one value, found none")
  expect(() => cohort({ arm: "a" }, [], () => source({ count: 1 }))).toThrow(
    "expected different seeds, such as seeds=1..5, found none",
  )
  expect(() => cohort({ arm: "a" }, [3, 4, 3], () => source({ count: 1 }))).toThrow("found 3 twice")
})

test("mapCohort keeps labels and seeds", () => {
  const data = source({ count: 3 })
  const runs = cohort({ lr: 1 }, [5, 6], (seed) => walk({ data, seed, lr: 1 }))
  const observed = mapCohort(runs, (run) => watchSum({ run, steps: [0] }))
  expect(observed.labels).toEqual({ lr: 1 })
  expect(observed.members.map(({ seed }) => seed)).toEqual([5, 6])
  expect(observed.members[0]!.node.inputs["run"]).toBe(runs.members[0]!.node)
})

test("wrong wiring does not type-check", () => {
  const data = source({ count: 3 })
  // @ts-expect-error a walk takes a source, not a walk
  walk({ data: walk({ data, seed: 1, lr: 1 }), seed: 1, lr: 1 })
  // @ts-expect-error a source cannot be watched
  watchSum({ run: data, steps: [0] })
  // @ts-expect-error the seed is missing
  walk({ data, lr: 1 })
  expect(data.problems).toEqual([])
})
