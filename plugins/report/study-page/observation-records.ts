import { type Field, type Records, rounded } from "../shared/records.ts"
import { metricOf } from "./metric.ts"
import { hundredths } from "./statistics/stability.ts"
import { isFailed, type RankRecord, type RunRecord, type Study } from "./study.ts"

/** All records, one file per kind, run by run: the source of the tables and figures. */
export const observationRecords = (study: Study): ReadonlyMap<string, Records> =>
  new Map([
    ["runs", runRecords(study.runs)],
    [
      "ranks-before",
      {
        columns: ["arm", "checkpoint", "seed", ...rankColumns],
        rows: study.before.map((rank) => [rank.arm, rank.checkpoint, rank.seed, ...rankFields(rank)]),
      },
    ],
    [
      "ranks-during",
      {
        columns: ["arm", "checkpoint", "lr", "seed", "step", ...rankColumns],
        rows: study.during.map((rank) => [
          rank.arm,
          rank.checkpoint,
          rank.lr,
          rank.seed,
          rank.step,
          ...rankFields(rank),
        ]),
      },
    ],
    [
      "trajectory",
      {
        columns: ["arm", "checkpoint", "lr", "seed", "step", "r", "phi_radians", "training_loss"],
        rows: study.trajectory.map(({ arm, checkpoint, lr, seed, step, r, phi, loss }) => [
          arm,
          checkpoint,
          lr,
          seed,
          step,
          ...[r, phi, loss].map(rounded),
        ]),
      },
    ],
  ])

const rankColumns = ["layer", "maximum_rank", "erank", "normalised_erank", "eigenvalues"]

/** Any other threshold follows from the eigenvalues, which are those of F̂ times the maximum rank. */
const rankFields = ({ layer, n, erank, normalised, eigenvalues }: RankRecord): readonly Field[] => [
  layer,
  n,
  erank,
  rounded(normalised),
  eigenvalues.map(rounded).join(" "),
]

/** With accuracy as counts, and other metrics multiplied by 100. */
const runRecords = (runs: readonly RunRecord[]): Records => {
  const metric = metricOf(runs)
  const counted = metric === "accuracy"
  const scores = counted ? ["correct", "total", "majority_correct"] : [metric, `baseline_${metric}`]
  return {
    columns: [
      "arm",
      "checkpoint",
      "lr",
      "seed",
      "status",
      ...scores,
      "final_loss",
      "failed",
      "step",
      "reason",
    ],
    rows: runs.map((run) => {
      const key = [run.arm, run.checkpoint, run.lr, run.seed, run.status]
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
