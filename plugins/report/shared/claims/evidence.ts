import { type } from "arktype"
import { describeLabels } from "../../../../core/api/pipeline.ts"
import type { CohortEstimated, CohortTaken, Labels } from "../../../../core/api/plugin.ts"
import { quotient } from "../../../../core/artifacts/metrics/ratio.ts"
import { isNoBetter } from "../../../../core/artifacts/metrics.ts"
import type { Cell, ObservationsEstimate, Row } from "../../../../core/artifacts/observations.ts"
import { type Run, type RunEstimate, scoreOf } from "../../../../core/artifacts/run.ts"
import { unknownName } from "../../../../core/io/nearest-name.ts"
import type { Design, Evidence, ObservationEvidence, RunEvidence } from "./claim.ts"

/** What a report plugin's estimates say of what claims will be judged by. */
export const designOf = (
  runs: readonly CohortEstimated<RunEstimate>[],
  observations: readonly CohortEstimated<ObservationsEstimate>[],
): Design => ({
  runs: runs.map(({ labels, members }) => ({ labels, seeds: members.map(({ seed }) => seed) })),
  observations: observations.map(({ labels, members }) => {
    const steps = members.map(({ estimate }) => estimate.steps)
    return {
      labels,
      seeds: members.map(({ seed }) => seed),
      columns: [...new Set(members.flatMap(({ estimate }) => estimate.columns))],
      ...(steps.includes(undefined) ? {} : { steps: [...new Set(steps.flatMap((of) => of ?? []))] }),
    }
  }),
})

/** What a report plugin took, as claims are judged by it. */
export const evidenceOf = (
  runs: readonly CohortTaken<Run>[],
  observations: readonly CohortTaken<readonly Row[]>[],
): Evidence => ({
  runs: runs.flatMap(({ labels, members }) =>
    members.map(({ seed, outcome }): RunEvidence => {
      if (outcome.status !== "done") {
        const failed = outcome.status === "diverged" ? true : null
        const unknown = { value: null, baseline: null, steps: null, warmupSteps: null }
        return { labels, seed, status: outcome.status, ...unknown, failed }
      }
      const score = scoreOf(outcome.value)[0]!
      return {
        labels,
        seed,
        status: "done",
        value: 100 * quotient(score.value),
        baseline: 100 * quotient(score.baseline),
        failed: isNoBetter(score),
        steps: outcome.value.steps,
        warmupSteps: outcome.value.warmupSteps,
      }
    }),
  ),
  observations: observations.flatMap(({ labels, members }) =>
    members.flatMap(({ seed, outcome }): readonly ObservationEvidence[] =>
      outcome.status === "done" ? outcome.value.map((row) => ({ labels, seed, row })) : [],
    ),
  ),
})

// --- selecting ---------------------------------------------------------------------------------------------

/** Labels and cells by name that must be equal: `{ lr: 1e-5, step: 0 }`. */
export const Where = type("Record<string, string | number | boolean | null>")
export type Where = typeof Where.infer

/** The runs on one side of a comparison: an arm's name, or labels. */
export const Side = type("string > 0").or(
  type("Record<string, string | number>").narrow(
    (labels, context) => Object.keys(labels).length > 0 || context.mustBe("one label or more"),
  ),
)
export type Side = typeof Side.infer

export const labelsOfSide = (side: Side): Labels => (typeof side === "string" ? { arm: side } : side)

export const nameOfSide = (side: Side): string => (typeof side === "string" ? side : describeLabels(side))

/** Whether labels, and cells where there are some, have all the values wanted. Cells come after labels of one name. */
export const matches = (where: Where, labels: Labels, row: Row = {}): boolean =>
  Object.entries(where).every(([name, value]) => cellOf(name, labels, row) === value)

export const cellOf = (name: string, labels: Labels, row: Row): Cell | undefined => labels[name] ?? row[name]

/**
 * Names of a claim that the design does not have at all: a value that no cohort has for a label that some have, a name
 * that is neither a label nor a column. A combination of names that all exist may be missing without a problem: a
 * study of one learning rate still lists the claims about the others.
 */
export const unknownNames = (
  what: "runs" | "observations",
  design: Design,
  side: Where,
  columns: readonly string[] = [],
): readonly string[] => {
  const cohorts = what === "runs" ? design.runs : design.observations
  if (cohorts.length === 0) return []
  const labels = new Set(cohorts.flatMap((cohort) => Object.keys(cohort.labels)))
  const given = what === "runs" ? [] : design.observations.map((cohort) => cohort.columns)
  const open = given.some((names) => names.length === 0)
  const known = [...new Set([...labels, ...given.flat()])]
  const names = [...Object.keys(side), ...columns]
    .filter((name) => !open && !known.includes(name))
    .map((name) => unknownName(`label${what === "runs" ? "" : " or column"} of ${what}`, name, known))
  const arms = [...new Set(cohorts.flatMap((cohort) => cohort.labels["arm"] ?? []))].map(String)
  const arm = side["arm"]
  return typeof arm === "string" && arms.length > 0 && !arms.includes(arm)
    ? [...names, unknownName("arm", arm, arms)]
    : names
}
