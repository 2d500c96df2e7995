import type { Labels } from "../../../../../core/api/plugin.ts"
import type { Row } from "../../../../../core/artifacts/observations.ts"
import type {
  Evidence,
  ObservationEvidence,
  RunEvidence,
} from "../../../../../plugins/report/shared/claims/claim.ts"

/** Runs with seeds from 1 on and these metrics, in hundredths; null for a run that diverged. 52.7 is the baseline. */
export const runs = (labels: Labels, values: readonly (number | null)[]): readonly RunEvidence[] =>
  values.map((value, i) => ({
    labels,
    seed: i + 1,
    status: value === null ? "diverged" : "done",
    value,
    baseline: value === null ? null : 52.7,
    failed: value === null || value <= 52.7,
    steps: value === null ? null : 468,
    warmupSteps: value === null ? null : 47,
  }))

/** One row of each run, seeds from 1 on. */
export const rows = (labels: Labels, given: readonly Row[]): readonly ObservationEvidence[] =>
  given.map((row, i) => ({ labels, seed: i + 1, row }))

export const evidence = (
  ofRuns: readonly (readonly RunEvidence[])[],
  observations: readonly (readonly ObservationEvidence[])[] = [],
): Evidence => ({ runs: ofRuns.flat(), observations: observations.flat() })
