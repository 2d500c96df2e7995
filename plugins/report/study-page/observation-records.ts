import { type Records, rounded } from "../shared/records.ts"
import { metricOf } from "./metric.ts"
import { hundredths } from "./statistics/stability.ts"
import { isFailed, type RunRecord, type Study } from "./study.ts"

/** All records, one file per kind, run by run: the source of the tables and figures. */
export const observationRecords = (study: Study): ReadonlyMap<string, Records> =>
  new Map([
    ["runs", runRecords(study.runs)],
    [
      "ranks-before",
      {
        columns: ["arm", "seed", "layer", "maximum_rank", "erank", "normalised_erank", "eigenvalues"],
        rows: study.before.map(({ arm, seed, layer, n, erank, normalised, eigenvalues }) => [
          arm,
          seed,
          layer,
          n,
          erank,
          rounded(normalised),
          eigenvalues.map(rounded).join(" "),
        ]),
      },
    ],
    [
      // Without eigenvalues: over all steps and seeds of a study they would take tens of megabytes.
      "ranks-during",
      {
        columns: ["arm", "lr", "seed", "step", "layer", "maximum_rank", "erank", "normalised_erank"],
        rows: study.during.map(({ arm, lr, seed, step, layer, n, erank, normalised }) => [
          arm,
          lr,
          seed,
          step,
          layer,
          n,
          erank,
          rounded(normalised),
        ]),
      },
    ],
    [
      "trajectory",
      {
        columns: ["arm", "lr", "seed", "step", "r", "phi_radians", "training_loss"],
        rows: study.trajectory.map(({ arm, lr, seed, step, r, phi, loss }) => [
          arm,
          lr,
          seed,
          step,
          ...[r, phi, loss].map(rounded),
        ]),
      },
    ],
  ])

/** With accuracy as counts, and other metrics multiplied by 100. */
const runRecords = (runs: readonly RunRecord[]): Records => {
  const metric = metricOf(runs)
  const counted = metric === "accuracy"
  const scores = counted ? ["correct", "total", "majority_correct"] : [metric, `baseline_${metric}`]
  return {
    columns: ["arm", "lr", "seed", "status", ...scores, "final_loss", "failed", "step", "reason"],
    rows: runs.map((run) => {
      const key = [run.arm, run.lr, run.seed, run.status]
      if (run.status !== "done")
        return [...key, ...scores.map(() => null), null, isFailed(run), run.step ?? null, run.reason]
      const { value, baseline } = run
      const scored = counted
        ? [value.numerator, value.denominator, baseline.numerator]
        : [rounded(hundredths(value)), rounded(hundredths(baseline))]
      return [...key, ...scored, run.finalLoss, isFailed(run), null, null]
    }),
  }
}
