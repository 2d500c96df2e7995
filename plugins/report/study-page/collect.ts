import { type } from "arktype"
import { Effect } from "effect"
import type { CohortTaken } from "../../../core/api/plugin.ts"
import { type RunTaken, scoreOf } from "../../../core/artifacts/run.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import { eigenvaluesOf, type FisherRow } from "../../probe/fisher.ts"
import type { TrajectoryRow } from "../../probe/trajectory.ts"
import {
  keyOfRun,
  type RunKey,
  type RunRecord,
  type StepRankRecord,
  type Study,
  type TrajectoryRecord,
} from "./study.ts"

/** What the page takes of runs and probes: cohorts labelled `{ arm, lr }` or `{ arm, checkpoint, lr }`. */
export interface Observed {
  readonly runs: readonly CohortTaken<RunTaken>[]
  readonly ranks: readonly CohortTaken<readonly FisherRow[]>[]
  readonly trajectories: readonly CohortTaken<readonly TrajectoryRow[]>[]
}

/**
 * The records of a study, from what its runs and probes gave.
 *
 * @throws InvalidInput for labels of another kind, a run that is there twice, or runs of several tasks
 */
export const recordsOf = Effect.fnUntraced(function* (inputs: Observed) {
  const runs = (yield* keyed("runs", inputs.runs)).map(({ key, outcome }): RunRecord => {
    if (outcome.status !== "done") return { ...key, ...outcome }
    const finalLoss = outcome.value.loss.at(-1) ?? Number.NaN
    return { ...key, status: "done", ...scoreOf(outcome.value)[0]!, finalLoss }
  })
  yield* checkRuns(runs)
  const ranks = (yield* keyed("ranks", inputs.ranks)).flatMap(
    ({ key, outcome }): readonly StepRankRecord[] =>
      outcome.status !== "done"
        ? []
        : outcome.value.flatMap((row) =>
            row.layer === null
              ? []
              : {
                  ...key,
                  step: row.step,
                  layer: row.layer,
                  n: row.samples,
                  erank: row.erank,
                  normalised: row.normalised,
                  eigenvalues: [...eigenvaluesOf(row)],
                },
          ),
  )
  const trajectory = (yield* keyed("trajectories", inputs.trajectories)).flatMap(
    ({ key, outcome }): readonly TrajectoryRecord[] =>
      outcome.status !== "done"
        ? []
        : outcome.value.flatMap(({ scope, step, r, phi, loss }) =>
            scope === "all" ? { ...key, step, r, phi, loss } : [],
          ),
  )
  return { runs, before: beforeFineTuning(ranks), during: duringFineTuning(ranks), trajectory }
})

const refused = (what: string, problem: string) =>
  new InvalidInput({ what: `study-page: ${what}`, problems: [problem] })

const checkRuns = Effect.fnUntraced(function* (runs: readonly RunRecord[]) {
  const metrics = [...new Set(runs.flatMap((run) => (run.status === "done" ? [run.metric] : [])))]
  if (metrics.length > 1) {
    const problem = `expected runs of one task, found runs scored by ${metrics.join(" and ")}`
    return yield* refused("runs", problem)
  }
  const seen = new Set<string>()
  for (const run of runs) {
    const key = keyOfRun(run)
    if (seen.has(key)) return yield* refused("runs", `expected each run once, found ${key} twice`)
    seen.add(key)
  }
})

const Labels = type({
  "+": "reject",
  arm: "string",
  "checkpoint?": "number.integer >= 0",
  lr: "number",
})

/** The members of all cohorts, each with the key of its run. */
const keyed = <T>(name: string, given: readonly CohortTaken<T>[]) =>
  Effect.map(
    Effect.forEach(given, ({ labels, members }) => {
      const cell = Labels(labels)
      if (cell instanceof type.errors) return Effect.fail(refused(`the labels of ${name}`, cell.summary))
      const { arm, checkpoint = null, lr } = cell
      return Effect.succeed(
        members.map(({ seed, outcome }) => ({
          key: { arm, checkpoint, lr, seed } satisfies RunKey,
          outcome,
        })),
      )
    }),
    (nested) => nested.flat(),
  )

/** Before the first update the learning rate has no effect, so each model and seed counts once. */
const beforeFineTuning = (ranks: readonly StepRankRecord[]): Study["before"] => {
  const seen = new Set<string>()
  return ranks.filter(({ arm, checkpoint, seed, layer, step }) => {
    const key = JSON.stringify([arm, checkpoint, seed, layer])
    if (step !== 0 || seen.has(key)) return false
    seen.add(key)
    return true
  })
}

/** The ranks of runs that were observed after the first update; other runs have nothing to show. */
const duringFineTuning = (ranks: readonly StepRankRecord[]): Study["during"] => {
  const watched = new Set(ranks.flatMap((rank) => (rank.step > 0 ? [keyOfRun(rank)] : [])))
  return ranks.filter((rank) => watched.has(keyOfRun(rank)))
}
