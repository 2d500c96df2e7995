import { rounded } from "../../shared/records.ts"
import { left, right, type Table } from "../../shared/table.ts"
import { decimal } from "../format.ts"
import type { TrainingRecord } from "../study.ts"

/** How each further-trained checkpoint was chosen; null if none was given. */
export const trainingTable = (records: readonly TrainingRecord[]): Table | null =>
  records.length === 0
    ? null
    : {
        name: "further-training",
        title: "Checkpoints of further training",
        columns: [
          left("arm"),
          right("seed"),
          left("method"),
          right("updates"),
          right("exported after"),
          right("its dev score"),
          right("last dev score"),
        ],
        rows: records.map((record) => [
          record.arm,
          String(record.checkpoint),
          record.method,
          String(record.steps),
          String(record.exportedStep),
          score(scoreAt(record, record.exportedStep)),
          score(record.evaluations.at(-1)?.score),
        ]),
        notes: [
          "Dev score: Spearman's correlation of cosine similarities with the scores of the dev pairs, × 100. The checkpoint is the model after the update with the best one, the first of them in a tie; without dev pairs, the last model.",
        ],
        data: {
          columns: [
            "arm",
            "checkpoint",
            "method",
            "updates",
            "exported_step",
            "exported_score",
            "last_score",
          ],
          rows: records.map((record) => [
            ...[record.arm, record.checkpoint, record.method, record.steps, record.exportedStep],
            rounded(scoreAt(record, record.exportedStep) ?? null),
            rounded(record.evaluations.at(-1)?.score ?? null),
          ]),
        },
      }

const scoreAt = ({ evaluations }: TrainingRecord, step: number) =>
  evaluations.find((evaluation) => evaluation.step === step)?.score

const score = (value: number | null | undefined): string =>
  value === undefined ? "not evaluated" : value === null ? "undefined" : decimal(100 * value, 1)
