import { plural } from "../../../core/io/format.ts"
import { decimal, learningRate } from "./format.ts"
import { amount, wordsOf } from "./metric.ts"
import type { ModelRank } from "./statistics/rank.ts"
import type { CohortStability } from "./statistics/stability.ts"

/** What the study has found so far, one sentence per finding, without interpretation. */
export const headline = (
  cohorts: readonly CohortStability[],
  models: readonly ModelRank[],
): readonly string[] => [
  ...(cohorts.length === 0 ? ["No fine-tuning run was recorded."] : [runsSentence(cohorts)]),
  ...[...new Set(cohorts.map(({ arm }) => arm))].map((arm) =>
    armSentence(
      arm,
      cohorts.filter((cohort) => cohort.arm === arm),
    ),
  ),
  ...rankSentence(models),
]

const total = (cohorts: readonly CohortStability[], of: (cohort: CohortStability) => number): number =>
  cohorts.reduce((sum, cohort) => sum + of(cohort), 0)

const runsSentence = (cohorts: readonly CohortStability[]): string => {
  const units = total(cohorts, ({ runs }) => runs.length)
  const ended = total(cohorts, (cohort) => cohort.ended)
  const diverged = total(cohorts, (cohort) => cohort.diverged)
  const without = units - ended
  return [
    `${plural(ended, "fine-tuning run")} ended`,
    diverged === 0 ? "" : `, of which ${diverged} diverged`,
    without === 0 ? "" : `; ${plural(without, "unit")} gave no run`,
    `; ${total(cohorts, ({ failures }) => failures)} of ${plural(ended, "run")} failed (no better than the ${wordsOf(cohorts[0]!.metric).baseline}, or diverged).`,
  ].join("")
}

const armSentence = (arm: string, cohorts: readonly CohortStability[]): string => {
  const failures = `${total(cohorts, (cohort) => cohort.failures)} of ${plural(
    total(cohorts, (cohort) => cohort.ended),
    "run",
  )} failed`
  const best = cohorts.reduce<CohortStability | null>(
    (highest, cohort) =>
      cohort.mean !== null && cohort.mean > (highest?.mean ?? Number.NEGATIVE_INFINITY) ? cohort : highest,
    null,
  )
  const words = wordsOf(cohorts[0]!.metric)
  if (best === null || best.mean === null) return `${arm}: ${failures}; no run has ${words.one}.`
  const stability = best.deviation === null ? "one run" : `S = ${decimal(best.deviation, 1)}`
  return `${arm}: ${failures}; highest mean ${words.name} ${amount(best.mean, words)} at peak learning rate ${learningRate(best.lr)} (${stability}, ${best.failures} of ${best.ended} failed).`
}

const rankSentence = (models: readonly ModelRank[]): readonly string[] => {
  const complete = models.flatMap(({ arm, rank: { mean } }) =>
    mean === null ? [] : [`${arm} ${decimal(mean, 2)}`],
  )
  return complete.length === 0
    ? []
    : [
        `Sum of the normalised effective ranks before fine-tuning (at most ${models[0]?.layers}): ${complete.join(", ")}.`,
      ]
}
