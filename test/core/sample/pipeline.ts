/** A pipeline for the tests of core: running sums over a grid of learning rates and seeds, watched by a probe. */
import { type } from "arktype"
import { cohort, grid, mapCohort, pipeline } from "../../../core/api/pipeline.ts"
import { listing, origins, source, walk, watchSum } from "./plugins.ts"

export default pipeline({
  name: "sample",
  summary: "Running sums",
  parameters: type({
    "+": "reject",
    count: "number.integer = 5",
    lr: type("number > 0")
      .array()
      .default(() => [1, 2]),
    seeds: type("number.integer >= 0")
      .array()
      .default(() => [1, 2]),
    slow: "number = 0",
    hold: "string = ''",
    aloud: "boolean = false",
    savesAloud: "boolean = false",
    divergeAt: "number = -1",
    failAt: "number = -1",
    crashAt: "number = -1",
    observe: type("number[]").default(() => [0, 3]),
    broken: "boolean = false",
    title: "string = 'sums'",
    provenance: "boolean = false",
  }),
  build: ({
    count,
    lr,
    seeds,
    slow,
    hold,
    aloud,
    savesAloud,
    divergeAt,
    failAt,
    crashAt,
    observe,
    broken,
    title,
    provenance,
  }) => {
    const data = source({ count, broken })
    // Only the largest learning rate has the accident that a test asks for.
    const accident = (rate: number) => (rate === Math.max(...lr) ? { divergeAt, failAt, crashAt } : {})
    const runs = grid({ lr }, (point) =>
      cohort({ lr: point.lr }, seeds, (seed) =>
        walk({ data, seed, slow, hold, aloud, savesAloud, lr: point.lr, ...accident(point.lr) }),
      ),
    )
    const seen = runs.map((runs) => mapCohort(runs, (run) => watchSum({ run, steps: observe })))
    const report = listing({ runs, seen, title })
    return provenance ? { report, origins: origins({ runs, seen }) } : { report }
  },
})
