import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { type CohortTaken, cohorts, plugin, type RunContext } from "../../core/api/plugin.ts"
import { Page } from "../../core/artifacts/page.ts"
import { Run, scoreOf } from "../../core/artifacts/run.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { version } from "../../core/io/project.ts"
import { eigenvaluesOf, fisher } from "../probe/fisher.ts"
import { trajectory } from "../probe/trajectory.ts"
import { renderStudy } from "./study-page/render.ts"
import {
  keyOfRun,
  type RunRecord,
  type StepRankRecord,
  type Study,
  type TrajectoryRecord,
} from "./study-page/study.ts"

const Options = type({
  "+": "reject",
  /** The title of the page. */
  title: "string > 0",
  /** The arms in the order shown; the first is the baseline of the others. */
  arms: type("string > 0").array().atLeastLength(1),
  /** Where the numbers come from, by name: the model, the data. */
  provenance: type("Record<string, string>").default(() => ({})),
})

/** The cohorts of all three are labelled `{ arm, lr }`. */
const takes = {
  runs: cohorts(Run),
  ranks: cohorts(fisher.gives),
  trajectories: cohorts(trajectory.gives),
}

type Inputs = RunContext<typeof Options.infer, typeof takes, unknown>["inputs"]

/** The study's figures and tables, for all arms, learning rates and seeds that were run. */
export const studyPage = plugin({
  name: "study-page",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary:
    "Stability, effective ranks and trajectories: figures 1 to 4, tables 1 and 2, as a page, SVG, CSV and Markdown",
  options: Options,
  takes,
  gives: Page,
  usesBackend: false,
  estimate: () => ({ artifact: {}, cost: cost({ memory: 5e8, disk: 3e6 }) }),
  run: Effect.fn("study-page")(function* ({
    options,
    inputs,
    backend,
  }: RunContext<typeof Options.infer, typeof takes, unknown>) {
    const provenance = { ...options.provenance, backend, software: `kasosei ${version}` }
    return yield* renderStudy(yield* studyOf({ ...options, provenance }, inputs)).pipe(
      Effect.catchTag("FigureError", (error) =>
        Effect.fail(new InvalidInput({ what: "study-page", problems: [error.message] })),
      ),
    )
  }),
})

const studyOf = Effect.fnUntraced(function* (options: typeof Options.infer, inputs: Inputs) {
  const runs = (yield* keyed("runs", inputs.runs)).map(({ key, outcome }): RunRecord => {
    if (outcome.status !== "done") return { ...key, ...outcome }
    const finalLoss = outcome.value.loss.at(-1) ?? Number.NaN
    return { ...key, status: "done", ...scoreOf(outcome.value)[0]!, finalLoss }
  })
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
  const paths = (yield* keyed("trajectories", inputs.trajectories)).flatMap(
    ({ key, outcome }): readonly TrajectoryRecord[] =>
      outcome.status !== "done"
        ? []
        : outcome.value.flatMap(({ scope, step, r, phi, loss }) =>
            scope === "all" ? { ...key, step, r, phi, loss } : [],
          ),
  )
  const metrics = [...new Set(runs.flatMap((run) => (run.status === "done" ? [run.metric] : [])))]
  if (metrics.length > 1) {
    const problems = [`expected runs of one task, found runs scored by ${metrics.join(" and ")}`]
    return yield* new InvalidInput({ what: "study-page: runs", problems })
  }
  const study: Study = {
    title: options.title,
    provenance: options.provenance,
    runs,
    before: beforeFineTuning(ranks),
    during: duringFineTuning(ranks),
    trajectory: paths,
    arms: options.arms,
  }
  return study
})

const Labels = type({ arm: "string", lr: "number" })

/** The members of all cohorts, each with the key of its run. */
const keyed = <T>(name: string, given: readonly CohortTaken<T>[]) =>
  Effect.map(
    Effect.forEach(given, ({ labels, members }) => {
      const cell = Labels(labels)
      return cell instanceof type.errors
        ? Effect.fail(
            new InvalidInput({ what: `study-page: the labels of ${name}`, problems: [cell.summary] }),
          )
        : Effect.succeed(members.map(({ seed, outcome }) => ({ key: { ...cell, seed }, outcome })))
    }),
    (nested) => nested.flat(),
  )

/** Before the first update the learning rate has no effect, so each arm and seed counts once. */
const beforeFineTuning = (ranks: readonly StepRankRecord[]): Study["before"] => {
  const seen = new Set<string>()
  return ranks.filter(({ arm, seed, layer, step }) => {
    const key = JSON.stringify([arm, seed, layer])
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
