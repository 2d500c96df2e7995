import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { cohorts, plugin, type RunContext } from "../../core/api/plugin.ts"
import { Checkpoint } from "../../core/artifacts/checkpoint.ts"
import { Page } from "../../core/artifacts/page.ts"
import { Run } from "../../core/artifacts/run.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { fisher } from "../probe/fisher.ts"
import { trajectory } from "../probe/trajectory.ts"
import { claimsOption } from "./shared/claims/claim.ts"
import { confounderSentences } from "./shared/claims/confounders.ts"
import { designOf } from "./shared/claims/evidence.ts"
import { claimProblems, planAll, planConfounded } from "./shared/claims/plan.ts"
import { claimsFound } from "./shared/claims/report.ts"
import { Observed, rowsEstimated } from "./shared/observed.ts"
import { settingsOption } from "./shared/settings.ts"
import { checkCohorts, recordsOf } from "./study-page/collect.ts"
import { Paper } from "./study-page/paper.ts"
import { renderStudy } from "./study-page/render.ts"
import { checkTrainings, trainingRecords } from "./study-page/training.ts"

const Options = type({
  "+": "reject",
  /** The title of the page. */
  title: "string > 0",
  /** The arms in the order shown; the first is the baseline of the others. */
  arms: type("string > 0").array().atLeastLength(1),
  /** What the study claims; the verdicts are at the top of the page. */
  claims: claimsOption.default(() => []),
  /** Where the numbers come from, by name: the model, the data. */
  provenance: type("Record<string, string>").default(() => ({})),
  /** Every setting of the study, beside the paper's. */
  settings: settingsOption,
  /** What the paper printed, shown where arm and learning rate are the paper's. */
  paper: Paper.default(() => ({})),
})
type Options = typeof Options.infer

/** The cohorts of runs, ranks and trajectories are labelled `{ arm, lr }` or `{ arm, checkpoint, lr }`. */
const takes = {
  runs: cohorts(Run),
  ranks: cohorts(fisher.gives),
  trajectories: cohorts(trajectory.gives),
  /** The checkpoints that were further trained, labelled `{ arm }`, by the seed of that training. */
  furtherTraining: cohorts(Checkpoint),
  /** What else the claims are judged by. */
  observations: cohorts(Observed),
}

/** The study's claims, figures and tables, for all arms, checkpoints, learning rates and seeds that were run. */
export const studyPage = plugin({
  name: "study-page",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary:
    "Claims with verdicts, stability, effective ranks and trajectories: figures 1 to 4, tables 1 and 2, as a page, SVG, CSV and Markdown",
  options: Options,
  takes,
  gives: Page,
  usesBackend: false,
  design: ({ claims }, { runs, ranks, trajectories, observations }) =>
    planAll(claims, designOf(runs, [...ranks, ...trajectories, ...observations])),
  confounders: ({ claims }, { runs, ranks, trajectories, observations }, differences) =>
    confounderSentences(planConfounded(claims, runs, { ranks, trajectories, observations }, differences)),
  estimate: ({ claims }, { runs, ranks, trajectories, furtherTraining, observations }) => {
    checkCohorts({ runs, ranks, trajectories })
    checkTrainings(furtherTraining)
    const observed = [...ranks, ...trajectories, ...observations]
    const problems = claimProblems(claims, designOf(runs, observed))
    if (problems.length > 0) throw new InvalidInput({ what: "the claims of study-page", problems })
    // A row of a rank has all its eigenvalues.
    const rows = rowsEstimated(observed)
    return { artifact: {}, cost: cost({ memory: 5e8 + 5000 * rows, disk: 4e6 + 500 * rows }) }
  },
  run: Effect.fn("study-page")(function* ({
    options: { claims, provenance: facts, ...options },
    inputs,
    backend,
    provenance,
    differences,
  }: RunContext<Options, typeof takes, unknown>) {
    const { runs, ranks, trajectories, furtherTraining, observations } = inputs
    const study = {
      ...options,
      facts,
      ...(yield* recordsOf(inputs)),
      training: yield* trainingRecords(furtherTraining),
      claims: claimsFound(claims, { runs, observations: { ranks, trajectories, observations } }, differences),
    }
    return yield* renderStudy(study, yield* provenance, backend)
  }),
})
