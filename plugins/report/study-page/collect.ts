import { type } from "arktype"
import { Effect } from "effect"
import type { CohortEstimated, CohortTaken } from "../../../core/api/plugin.ts"
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
 * @param inputs as {@link checkCohorts} passes them
 * @throws InvalidInput for runs of several tasks
 */
export const recordsOf = Effect.fnUntraced(function* (inputs: Observed) {
  const runs = keyed(inputs.runs).map(({ key, outcome }): RunRecord => {
    if (outcome.status !== "done") return { ...key, ...outcome }
    const finalLoss = outcome.value.loss.at(-1) ?? Number.NaN
    return { ...key, status: "done", ...scoreOf(outcome.value)[0]!, finalLoss }
  })
  yield* checkMetrics(runs)
  const ranks = keyed(inputs.ranks).flatMap(({ key, outcome }): readonly StepRankRecord[] =>
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
  const trajectory = keyed(inputs.trajectories).flatMap(({ key, outcome }): readonly TrajectoryRecord[] =>
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

const checkMetrics = Effect.fnUntraced(function* (runs: readonly RunRecord[]) {
  const metrics = [...new Set(runs.flatMap((run) => (run.status === "done" ? [run.metric] : [])))]
  if (metrics.length <= 1) return
  const problem = `expected runs of one task, found runs scored by ${metrics.join(" and ")}`
  return yield* refused("runs", problem)
})

const Labels = type({
  "+": "reject",
  arm: "string",
  "checkpoint?": "number.integer >= 0",
  lr: "number",
})

/**
 * What is wrong with cohorts before anything runs: labels of another kind, a run that is there twice.
 *
 * @throws InvalidInput with the first of them
 */
export const checkCohorts = (
  given: Readonly<Record<"runs" | "ranks" | "trajectories", readonly CohortEstimated<unknown>[]>>,
): void => {
  for (const name of ["runs", "ranks", "trajectories"] as const) {
    for (const { labels } of given[name]) {
      const cell = Labels(labels)
      if (cell instanceof type.errors) throw refused(`the labels of ${name}`, cell.summary)
    }
  }
  const seen = new Set<string>()
  for (const { labels, members } of given.runs) {
    const { arm, checkpoint = null, lr } = Labels.assert(labels)
    for (const { seed } of members) {
      const key = keyOfRun({ arm, checkpoint, lr, seed })
      if (seen.has(key)) throw refused("runs", `expected each run once, found ${key} twice`)
      seen.add(key)
    }
  }
}

/** The members of all cohorts, each with the key of its run. */
const keyed = <T>(given: readonly CohortTaken<T>[]) =>
  given.flatMap(({ labels, members }) => {
    const { arm, checkpoint = null, lr } = Labels.assert(labels)
    return members.map(({ seed, outcome }) => ({
      key: { arm, checkpoint, lr, seed } satisfies RunKey,
      outcome,
    }))
  })

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
