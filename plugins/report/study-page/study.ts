import { isNoBetter, type Score } from "../../../core/artifacts/metrics.ts"
import type { ClaimsFound } from "../shared/claims/report.ts"
import type { Setting } from "../shared/settings.ts"
import type { Paper } from "./paper.ts"

/**
 * The report's input: plain data of a study, complete or not. While a study is running, arms, learning rates, seeds
 * or probes are normally missing, so every function that reads this uses what is there.
 */

/** One fine-tuning run of an arm, from one of its checkpoints, at a peak learning rate. */
export type RunRecord = RunKey & RunOutcome

/** A model before fine-tuning. An arm has one, or one for each seed of its further training. */
export interface ModelKey {
  readonly arm: string
  /** the seed of the arm's further training; null for an arm without one */
  readonly checkpoint: number | null
}

export interface RunKey extends ModelKey {
  /** peak learning rate */
  readonly lr: number
  readonly seed: number
}

export type RunOutcome =
  | ({ readonly status: "done"; readonly finalLoss: number } & Score)
  | {
      /** `diverged`: the loss, the gradients or the logits were not finite. `failed`: the unit gave no run at all. */
      readonly status: "diverged" | "failed"
      readonly reason: string
      readonly step?: number
    }

/** The effective rank of the empirical Fisher of one layer. */
export interface RankRecord extends ModelKey {
  readonly seed: number
  /** from 0, the layer next to the embeddings */
  readonly layer: number
  /** the maximum rank N: the number of examples */
  readonly n: number
  readonly erank: number
  /** erank / n */
  readonly normalised: number
  readonly eigenvalues: readonly number[]
}

/** The same, at a step of a fine-tuning run. */
export interface StepRankRecord extends RankRecord {
  readonly lr: number
  readonly step: number
}

/** One point of a run's trajectory relative to its own end, in polar coordinates. */
export interface TrajectoryRecord extends RunKey {
  readonly step: number
  /** ‖θ_t − θ_end‖ / ‖θ_start − θ_end‖ */
  readonly r: number
  /** radians between θ_t − θ_end and θ_start − θ_end; null at the end, where it is undefined */
  readonly phi: number | null
  /** training loss of the batch; null if none was computed */
  readonly loss: number | null
}

/** How a checkpoint was made: what its `training.json` says. */
export interface TrainingRecord extends ModelKey {
  readonly method: string
  /** updates done */
  readonly steps: number
  /** the checkpoint is the model after this many updates */
  readonly exportedStep: number
  /** scores on a dev set, ascending by step; none if there was no dev set. null where it is undefined */
  readonly evaluations: readonly { readonly step: number; readonly score: number | null }[]
}

export interface Study {
  readonly title: string
  /** where the numbers come from, by name: model, data */
  readonly facts: Readonly<Record<string, string>>
  /** every setting, beside the paper's */
  readonly settings: readonly Setting[]
  readonly paper: Paper
  readonly runs: readonly RunRecord[]
  /** effective ranks before fine-tuning */
  readonly before: readonly RankRecord[]
  /** effective ranks during fine-tuning */
  readonly during: readonly StepRankRecord[]
  readonly trajectory: readonly TrajectoryRecord[]
  /** how the checkpoints of further-trained arms were made */
  readonly training: readonly TrainingRecord[]
  readonly claims: ClaimsFound
  /** The arms in the order in which they are shown and coloured; the first is the baseline of the others. */
  readonly arms: readonly string[]
}

/** The distinct values of `of`, ascending. */
export const distinct = <T>(records: readonly T[], of: (record: T) => number): readonly number[] =>
  [...new Set(records.map(of))].sort((a, b) => a - b)

/** All arms in the order shown: those of `study.arms`, then any that appear only in records. */
export const armsOf = (study: Study): readonly string[] => [
  ...new Set([
    ...study.arms,
    ...[...study.runs, ...study.before, ...study.during, ...study.trajectory].map(({ arm }) => arm),
  ]),
]

/** Whether a run failed: it diverged, or its score is a failure. Null for a unit that gave no run. */
export const isFailed = (run: RunRecord): boolean | null => {
  if (run.status === "done") return isNoBetter(run)
  return run.status === "diverged" ? true : null
}

/** Whether the run with a key failed; null if no record says. */
export const outcomeLookup = (runs: readonly RunRecord[]): ((run: RunKey) => boolean | null) => {
  const outcomes = new Map(runs.map((run) => [keyOfRun(run), isFailed(run)]))
  return (run) => outcomes.get(keyOfRun(run)) ?? null
}

export const keyOfRun = ({ arm, checkpoint, lr, seed }: RunKey): string =>
  JSON.stringify([arm, checkpoint, lr, seed])

/**
 * The study without numbers that are not finite, and a sentence for each kind of record left out. A run that diverges
 * may give ranks and distances that are not numbers, which cannot be drawn.
 */
export const finitePart = (study: Study): { readonly study: Study; readonly leftOut: readonly string[] } => {
  const before = study.before.filter(({ normalised }) => Number.isFinite(normalised))
  const during = study.during.filter(({ normalised }) => Number.isFinite(normalised))
  const trajectory = study.trajectory
    .filter(({ r, phi }) => Number.isFinite(r) && (phi === null || Number.isFinite(phi)))
    .map((record) => ({ ...record, loss: Number.isFinite(record.loss) ? record.loss : null }))
  const lost = (what: string, all: readonly unknown[], kept: readonly unknown[]) =>
    all.length === kept.length
      ? []
      : [`Left out because they are not finite: ${all.length - kept.length} of ${all.length} ${what}.`]
  return {
    study: { ...study, before, during, trajectory },
    leftOut: [
      ...lost("effective ranks before fine-tuning", study.before, before),
      ...lost("effective ranks during fine-tuning", study.during, during),
      ...lost("trajectory points", study.trajectory, trajectory),
    ],
  }
}
