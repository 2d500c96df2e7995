import { describe, expect, mock, test } from "bun:test"
import { cohort, grid, mapCohort } from "../../../core/api/pipeline.ts"
import { countingNodes, countNode } from "../../../core/api/plan-size.ts"
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
  // Labels that are made of a point have the order of the axes.
  expect(Object.keys(grid({ b: [1], a: [2], c: [3] }, (point) => point)[0]!)).toEqual(["b", "a", "c"])
  const cube = grid({ x: [0, 1], y: [0, 1, 2], z: [0, 1, 2, 3] }, ({ x, y, z }) => 12 * x + 4 * y + z)
  expect(cube).toEqual(Array.from({ length: 24 }, (_, i) => i))
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
  const twice = [...Array(20).keys(), ...Array(20).keys()]
  expect(() => cohort({ arm: "a" }, twice, () => source({ count: 1 }))).toThrow(
    "found 0, 1, 2, 3, 4, 5, 6, 7, … twice",
  )
})

describe("a plan that is too large", () => {
  const make = () => source({ count: 1 })
  const seeds = (count: number) => Array.from({ length: count }, (_, i) => i)

  test("is refused by its grid before anything is made", () => {
    const made = mock(() => 0)
    expect(() => countingNodes(() => grid({ lr: seeds(1000), arm: seeds(501) }, made))).toThrow(
      "expected at most 500000 units, found 501000 from the grid over lr (1000 values) × arm (501 values)",
    )
    expect(made).not.toHaveBeenCalled()
  })

  test("is refused by the first cohort of a grid, which will be made for every point", () => {
    const made = mock(make)
    const build = () => grid({ lr: seeds(1000) }, ({ lr }) => cohort({ lr }, seeds(501), made))
    expect(() => countingNodes(build)).toThrow("found 501000 from the seeds of the cohort lr=0")
    expect(made).not.toHaveBeenCalled()
  })

  test("is refused by its nodes, wherever they come from", () => {
    const build = () => seeds(500_001).map(() => countNode())
    expect(() => countingNodes(build)).toThrow("expected at most 500000 units, found more")
    // Each pipeline is counted by itself, and what is made elsewhere is not counted.
    countingNodes(() => seeds(300_000).map(() => countNode()))
    countingNodes(() => seeds(300_000).map(() => countNode()))
    seeds(600_000).map(() => countNode())
  })
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
