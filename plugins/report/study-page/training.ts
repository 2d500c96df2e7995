import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import type { CohortEstimated, CohortTaken } from "../../../core/api/plugin.ts"
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

/** @throws InvalidInput for cohorts that are not labelled `{ arm }` */
export const checkTrainings = (given: readonly CohortEstimated<unknown>[]): void => {
  for (const { labels } of given) {
    const cohort = Labels(labels)
    if (cohort instanceof type.errors) {
      const what = "study-page: the labels of furtherTraining"
      throw new InvalidInput({ what, problems: [cohort.summary] })
    }
  }
}

/**
 * The records of checkpoints that were further trained, in cohorts labelled `{ arm }` whose seeds are those of the
 * further training.
 *
 * @throws FileError if a checkpoint has no record of a training
 */
export const trainingRecords = Effect.fnUntraced(function* (given: readonly CohortTaken<CheckpointTaken>[]) {
  const records: TrainingRecord[] = []
  for (const { labels, members } of given) {
    const { arm } = Labels.assert(labels)
    for (const { seed, outcome } of members) {
      if (outcome.status !== "done") continue
      const file = yield* readJson(join(outcome.value.folder, "training.json"), TrainingFile)
      const { method, loss, exportedStep, evaluations } = file
      records.push({
        arm,
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
