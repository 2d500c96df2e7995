/**
 * The study that all these pipelines share: the same fine-tuning from several checkpoints, over learning rates and
 * seeds, with probes that watch some of the runs, and one report.
 */

import { cohort, grid, mapCohort } from "../../core/api/pipeline.ts"
import type { Node } from "../../core/api/plugin.ts"
import type { Checkpoint } from "../../core/artifacts/checkpoint.ts"
import type { Examples } from "../../core/artifacts/examples.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { shortNumber } from "../../core/io/format.ts"
import { classification } from "../../plugins/finetune/classification.ts"
import { fisher } from "../../plugins/probe/fisher.ts"
import { trajectory } from "../../plugins/probe/trajectory.ts"
import { studyPage } from "../../plugins/report/study-page.ts"

/** A model before fine-tuning, and its name in the report. */
export interface Arm {
  readonly name: string
  readonly checkpoint: Node<typeof Checkpoint>
}

export interface StudySettings {
  readonly title: string
  readonly provenance: Readonly<Record<string, string>>
  readonly data: Node<typeof Examples>
  /** The first one is the baseline. */
  readonly arms: readonly Arm[]
  /** Peak learning rates. */
  readonly lr: readonly number[]
  readonly seeds: readonly number[]
  readonly batchSize?: number
  readonly epochs?: number
  /** How many examples the empirical Fisher is computed from: its largest possible rank. */
  readonly samples: number
  /** The runs that probes watch: these arms, learning rates and seeds, each of which must be one of the study's. */
  readonly watched: {
    readonly arms: readonly string[]
    readonly lr: readonly number[]
    readonly seeds: readonly number[]
  }
}

/** What to watch by default: the values of `usual` that the study has or, if it has none, its first. */
export const watchedOf = <T>(usual: readonly T[], ofStudy: readonly T[]): readonly T[] => {
  const both = usual.filter((value) => ofStudy.includes(value))
  return both.length > 0 ? both : ofStudy.slice(0, 1)
}

/** @throws InvalidInput if a watched run is not among the runs: its figure would be missing without an error */
const checkWatched = ({ arms, lr, seeds, watched }: StudySettings): void => {
  type Values = readonly (string | number)[]
  const list = (values: Values) =>
    values.map((value) => (typeof value === "number" ? shortNumber(value) : value)).join(", ") || "none"
  const problemsOf = (axis: string, wanted: Values, ofStudy: Values): readonly string[] => {
    const others = wanted.filter((value) => !ofStudy.includes(value))
    if (wanted.length > 0 && others.length === 0) return []
    return [`the ${axis} to watch must be among ${list(ofStudy)} (was ${list(others)})`]
  }
  const names = arms.map(({ name }) => name)
  const problems = [
    ...problemsOf("arms", watched.arms, names),
    ...problemsOf("learning rates", watched.lr, lr),
    ...problemsOf("seeds", watched.seeds, seeds),
  ]
  if (problems.length > 0) throw new InvalidInput({ what: "the runs that probes watch", problems })
}

export const study = (settings: StudySettings) => {
  const { title, provenance, data, arms, samples, watched, batchSize, epochs } = settings
  const sizes = {
    ...(batchSize === undefined ? {} : { batchSize }),
    ...(epochs === undefined ? {} : { epochs }),
  }

  const checkpoints = new Map(arms.map(({ name, checkpoint }) => [name, checkpoint]))
  // Labelled by name, so that two arms of the same name are refused: the report could not tell them apart.
  const runs = grid({ arm: arms.map(({ name }) => name), lr: settings.lr }, ({ arm, lr }) =>
    cohort({ arm, lr }, settings.seeds, (seed) =>
      classification({ data, checkpoint: checkpoints.get(arm)!, lr, seed, ...sizes }),
    ),
  )
  checkWatched(settings)
  // Before the first update the learning rate has no effect: the runs at the first one stand for all.
  const before = runs
    .filter(({ labels }) => labels["lr"] === settings.lr[0])
    .map((of) => mapCohort(of, (run) => fisher({ run, samples, steps: { at: [0] } })))

  const watchedRuns = runs
    .filter(
      ({ labels: { arm, lr } }) =>
        watched.arms.some((name) => name === arm) && watched.lr.some((value) => value === lr),
    )
    .map(({ labels, members }) => ({
      labels,
      members: members.filter(({ seed }) => watched.seeds.includes(seed)),
    }))
  const during = watchedRuns.map((of) =>
    mapCohort(of, (run) =>
      fisher({ run, samples, steps: { at: [1, 2, 3, 4], every: "warmup", last: true } }),
    ),
  )
  const trajectories = watchedRuns.map((of) =>
    mapCohort(of, (run) => trajectory({ run, steps: { at: [1], every: "warmup", last: true } })),
  )
  const report = studyPage({
    title,
    provenance,
    arms: arms.map(({ name }) => name),
    runs,
    ranks: [...before, ...during],
    trajectories,
  })
  return { report }
}
