import { expect, test } from "bun:test"
import { cohort, grid, mapCohort } from "../../../core/api/pipeline.ts"
import { source, walk, watchSum } from "../sample/plugins.ts"

test("a grid runs through every combination, the last axis fastest", () => {
  expect(grid({ arm: ["a", "b"], lr: [1, 2, 3] }, ({ arm, lr }) => `${arm}${lr}`)).toEqual([
    "a1",
    "a2",
    "a3",
    "b1",
    "b2",
    "b3",
  ])
})

test("an empty axis, doubled values and doubled seeds are refused by name", () => {
  expect(() => grid({ arm: ["a"], lr: [1e-5, 2, 0.00001] }, () => 0)).toThrow("lr has 1e-5 twice")
  expect(() => grid({ arm: ["a"], lr: [] }, () => 0)).toThrow("lr has no value")
  expect(() => cohort({ arm: "a" }, [], () => source({ count: 1 }))).toThrow("there is none")
  expect(() => cohort({ arm: "a" }, [3, 4, 3], () => source({ count: 1 }))).toThrow("3 stands twice")
})

test("a mapped cohort keeps its labels and seeds", () => {
  const data = source({ count: 3 })
  const runs = cohort({ lr: 1 }, [5, 6], (seed) => walk({ data, seed, lr: 1 }))
  const seen = mapCohort(runs, (run) => watchSum({ run, steps: [0] }))
  expect(seen.labels).toEqual({ lr: 1 })
  expect(seen.members.map(({ seed }) => seed)).toEqual([5, 6])
  expect(seen.members[0]!.node.inputs["run"]).toBe(runs.members[0]!.node)
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
