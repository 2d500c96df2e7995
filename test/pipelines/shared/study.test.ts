import { expect, test } from "bun:test"
import type { Cohort } from "../../../core/api/plugin.ts"
import paper from "../../../pipelines/paper.ts"
import quickstart from "../../../pipelines/quickstart.ts"

const small = quickstart.parameters.assert({})

test("learning rates or arms that are given twice are refused: their runs would count twice", () => {
  expect(() => quickstart.build({ ...small, lr: [1e-5, 2e-5, 1e-5] })).toThrow(
    "lr: expected different values, found 1e-5 twice",
  )
  expect(() => quickstart.build({ ...small, lr: [] })).toThrow("lr: expected at least one value")
  expect(() => quickstart.build({ ...small, dropout: [0.1, 0.1] })).toThrow(
    "arm: expected different values, found SimCSE(0.1) twice",
  )
})

/** Labels and seeds of the runs that probes watch in `paper.ts`. */
const watched = (given: Readonly<Record<string, unknown>>) => {
  const report = paper.build(paper.parameters.assert(given))["report"]
  if (report === undefined || !("inputs" in report)) throw new Error("expected the report to be one node")
  return (report.inputs["trajectories"] as readonly Cohort[]).map(
    ({ labels, members }) => `${labels["arm"]} ${labels["lr"]} ${members.map(({ seed }) => seed)}`,
  )
}

test("in a part of the paper's study, probes watch the runs that the paper watches or, without one, the first", () => {
  expect(watched({ lr: [1e-5, 2e-5], dropout: [0.1, 0.3], seeds: [1, 2] })).toEqual([
    "vanilla 0.00001 1",
    "vanilla 0.00002 1",
    "SimCSE(0.1) 0.00001 1",
    "SimCSE(0.1) 0.00002 1",
  ])
  expect(watched({ lr: [7e-6], dropout: [0.3], seeds: [11, 12] })).toEqual(["vanilla 0.000007 11"])
  expect(watched({ watchedArms: ["SimCSE(0.5)"], watchedLr: [3e-5], watchedSeeds: [2, 3] })).toEqual([
    "SimCSE(0.5) 0.00003 2,3",
  ])
})

test("watched runs that are not run are refused, all at once", () => {
  const given = { lr: [1e-5], seeds: [1, 2], watchedArms: ["SimCSE"], watchedLr: [], watchedSeeds: [1, 3] }
  expect(() => watched(given)).toThrow(
    [
      "the runs that probes watch:",
      "  the arms to watch must be among vanilla, SimCSE(0.05), SimCSE(0.1), SimCSE(0.3), SimCSE(0.4), SimCSE(0.5) (was SimCSE)",
      "  the learning rates to watch must be among 1e-5 (was none)",
      "  the seeds to watch must be among 1, 2 (was 3)",
    ].join("\n"),
  )
})
