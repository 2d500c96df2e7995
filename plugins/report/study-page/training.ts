import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import type { CohortTaken } from "../../../core/api/plugin.ts"
import type { CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import { readJson } from "../../../core/io/files.ts"
import type { TrainingRecord } from "./study.ts"

const TrainingFile = type({
  method: "string",
  loss: "unknown[]",
  exportedStep: "number.integer >= 0",
  evaluations: type({ step: "number.integer >= 0", score: "number | null" })
    .array()
    .default(() => []),
})

const Labels = type({ "+": "reject", arm: "string" })

/**
 * The records of checkpoints that were further trained, in cohorts labelled `{ arm }` whose seeds are those of the
 * further training.
 *
 * @throws InvalidInput for other labels, FileError if a checkpoint has no record of a training
 */
export const trainingRecords = Effect.fnUntraced(function* (given: readonly CohortTaken<CheckpointTaken>[]) {
  const records: TrainingRecord[] = []
  for (const { labels, members } of given) {
    const cohort = Labels(labels)
    if (cohort instanceof type.errors) {
      const what = "study-page: the labels of furtherTraining"
      return yield* new InvalidInput({ what, problems: [cohort.summary] })
    }
    for (const { seed, outcome } of members) {
      if (outcome.status !== "done") continue
      const file = yield* readJson(join(outcome.value.folder, "training.json"), TrainingFile)
      const { method, loss, exportedStep, evaluations } = file
      records.push({
        arm: cohort.arm,
        checkpoint: seed,
        method,
        steps: loss.length,
        exportedStep,
        evaluations,
      })
    }
  }
  return records
})
