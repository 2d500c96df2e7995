import { left, right, type Table } from "../../shared/table.ts"
import { learningRate } from "../format.ts"
import { metricOf, wordsOf } from "../metric.ts"
import type { RunRecord, Study } from "../study.ts"

/** The runs without a value of the task's metric, each with its reason; null if every run has one. */
export const unfinishedTable = ({ runs }: Study): Table | null => {
  const unfinished = runs.flatMap((run) => (run.status === "done" ? [] : [run]))
  return unfinished.length === 0
    ? null
    : {
        name: "unfinished",
        title: `Runs without ${wordsOf(metricOf(runs)).one}`,
        columns: [
          left("arm"),
          right("checkpoint"),
          right("peak lr"),
          right("seed"),
          left("outcome"),
          left("reason"),
        ],
        rows: unfinished.map((run) => [
          run.arm,
          run.checkpoint === null ? "" : String(run.checkpoint),
          learningRate(run.lr),
          String(run.seed),
          happened(run),
          run.reason,
        ]),
        notes: [
          "A run that diverged counts as failed. A unit that failed gave no run and is counted nowhere else.",
        ],
        data: {
          columns: ["arm", "checkpoint", "lr", "seed", "status", "step", "reason"],
          rows: unfinished.map((run) => [
            run.arm,
            run.checkpoint,
            run.lr,
            run.seed,
            run.status,
            run.step ?? null,
            run.reason,
          ]),
        },
      }
}

const happened = ({ status, step }: Exclude<RunRecord, { status: "done" }>): string => {
  const what = status === "diverged" ? "diverged" : "unit failed"
  return step === undefined ? what : `${what} at step ${step}`
}
