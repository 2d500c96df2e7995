/**
 * The study that all these pipelines share: the same fine-tuning of several arms, over checkpoints, learning rates and
 * seeds, with probes that watch some of the runs, and one report. A pipeline adds probes of its own, and draws or
 * tabulates what they observe in reports beside the study's.
 */
import { cohort, grid, mapCohort } from "../../core/api/pipeline.ts"
import type { Cohort, Labels, Node } from "../../core/api/plugin.ts"
import type { Checkpoint } from "../../core/artifacts/checkpoint.ts"
import type { Examples } from "../../core/artifacts/examples.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { shortNumber } from "../../core/io/format.ts"
import { classification } from "../../plugins/finetune/classification.ts"
import { fisher } from "../../plugins/probe/fisher.ts"
import { trajectory } from "../../plugins/probe/trajectory.ts"
import type { Claim } from "../../plugins/report/shared/claims/claim.ts"
import type { Observed } from "../../plugins/report/shared/observed.ts"
import { studyPage } from "../../plugins/report/study-page.ts"
import { paperFigures } from "./paper-figures.ts"

/** One of an arm's models before fine-tuning. */
export interface ArmCheckpoint {
  /** The seed of its further training; null for a model that was not trained further. */
  readonly seed: number | null
  readonly checkpoint: Node<typeof Checkpoint>
}

/** What runs are compared by: a way of making the model that is fine-tuned, or of fine-tuning it. */
export interface Arm {
  /** Its name in the report. */
  readonly name: string
  /** One model for each seed of its further training, or a single one without a seed. */
  readonly checkpoints: readonly ArmCheckpoint[]
  /** Fine-tuning of this arm alone, in place of the study's. */
  readonly fineTune?: FineTune
}

/** The options of fine-tuning that all runs of a study share. */
export type FineTuning = Omit<Parameters<typeof classification>[0], "data" | "checkpoint" | "lr" | "seed">

/** What the study gives every run. */
export interface FineTuneSettings extends FineTuning {
  readonly data: Node<typeof Examples>
  readonly checkpoint: Node<typeof Checkpoint>
  readonly lr: number
  readonly seed: number
}

/** The fine-tuning of a run: a plugin for it, with options of its own. */
export type FineTune = (settings: FineTuneSettings) => StudyRun

export interface StudySettings {
  readonly title: string
  readonly provenance: Readonly<Record<string, string>>
  readonly data: Node<typeof Examples>
  /** The first one is the baseline. */
  readonly arms: readonly Arm[]
  /** Peak learning rates. */
  readonly lr: readonly number[]
  /** Seeds of fine-tuning, shared by all arms: runs of equal seeds have equal batches, dropout and new classifiers. */
  readonly seeds: readonly number[]
  /** Options of every run, such as `{ batchSize: 16, epochs: 3 }`. */
  readonly fineTuning?: FineTuning
  /**
   * The fine-tuning of a run, by default `classification`. Another method, or other options of the same:
   * `(settings) => classification({ ...settings, optimiser: lion({}) })`.
   */
  readonly fineTune?: FineTune
  /** Seeds of the ranks before fine-tuning, which take no training; by default those of fine-tuning. */
  readonly rankSeeds?: readonly number[]
  /** How many examples the empirical Fisher is computed from: its largest possible rank. */
  readonly samples: number
  /** The fraction of the trace by which effective ranks are counted, by default 0.99. */
  readonly threshold?: number
  /** The runs that probes watch: these arms, learning rates and seeds, each of which must be one of the study's. */
  readonly watched: {
    readonly arms: readonly string[]
    readonly lr: readonly number[]
    readonly seeds: readonly number[]
    /** Seeds of further training; by default the first of each arm. Arms without one are watched anyway. */
    readonly checkpoints?: readonly number[]
  }
  /** What the study claims, judged by its runs, its ranks and trajectories, and what is observed besides. */
  readonly claims?: readonly Claim[]
  /** What the claims are judged by besides, such as scores of the arms' checkpoints. */
  readonly observed?: readonly Cohort<Node<typeof Observed>>[]
  /** Its settings beside the paper's, as `settingsOf` of `parameters.ts` gives them. */
  readonly settings?: StudyPage["settings"]
}

type StudyPage = Parameters<typeof studyPage>[0]

/** A run of a study, as a probe takes it. */
export type StudyRun = ReturnType<typeof classification>
/** Probes by name: `{ norms: (run) => weightNorm({ run, steps: { at: [0], last: true } }) }`. */
export type Probes = Readonly<Record<string, (run: StudyRun) => Node<typeof Observed>>>
/** What probes observe, by the probe's name, with the labels and seeds of the runs. */
export type Observations<P extends Probes> = {
  readonly [N in keyof P]: readonly Cohort<ReturnType<P[N]>>[]
}

/** The model of an arm that is not trained further. */
export const asItIs = (checkpoint: Node<typeof Checkpoint>): readonly ArmCheckpoint[] => [
  { seed: null, checkpoint },
]

/** The models of an arm, one for each seed of its further training. */
export const perSeed = (
  seeds: readonly number[],
  train: (seed: number) => Node<typeof Checkpoint>,
): readonly ArmCheckpoint[] => seeds.map((seed) => ({ seed, checkpoint: train(seed) }))

/** Cohorts of an arm, one for each of its checkpoints, labelled `{ arm }` or `{ arm, checkpoint }` and by what is given. */
export const cohortsOf = <N extends Node>(
  { name, checkpoints }: Arm,
  labels: Labels,
  seeds: readonly number[],
  make: (checkpoint: Node<typeof Checkpoint>, seed: number) => N,
): readonly Cohort<N>[] =>
  checkpoints.map(({ seed: trained, checkpoint }) =>
    cohort({ arm: name, ...(trained === null ? {} : { checkpoint: trained }), ...labels }, seeds, (seed) =>
      make(checkpoint, seed),
    ),
  )

/** What to watch by default: the values of `usual` that the study has or, if it has none, its first. */
export const watchedOf = <T>(usual: readonly T[], ofStudy: readonly T[]): readonly T[] => {
  const both = usual.filter((value) => ofStudy.includes(value))
  return both.length > 0 ? both : ofStudy.slice(0, 1)
}

/** @throws InvalidInput if an arm's checkpoints cannot be told apart */
const checkArms = (arms: readonly Arm[]): void => {
  const problems = arms.flatMap(({ name, checkpoints }) => {
    const seeds = checkpoints.map(({ seed }) => seed)
    const distinct = new Set(seeds).size === seeds.length && (seeds.length === 1 || !seeds.includes(null))
    return distinct && seeds.length > 0
      ? []
      : [
          `${name}: expected one checkpoint for each of several seeds, or a single one, found ${seeds.map((seed) => seed ?? "one without a seed").join(", ") || "none"}`,
        ]
  })
  if (problems.length > 0) throw new InvalidInput({ what: "the checkpoints of the arms", problems })
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
  const ofCheckpoints = new Set(
    arms.flatMap(({ checkpoints }) => checkpoints.flatMap(({ seed }) => seed ?? [])),
  )
  const problems = [
    ...problemsOf("arms", watched.arms, names),
    ...problemsOf("learning rates", watched.lr, lr),
    ...problemsOf("seeds", watched.seeds, seeds),
    ...(watched.checkpoints === undefined
      ? []
      : problemsOf("seeds of further training", watched.checkpoints, [...ofCheckpoints])),
  ]
  if (problems.length > 0) throw new InvalidInput({ what: "the runs that probes watch", problems })
}

const observe = <P extends Probes>(
  runs: readonly Cohort<StudyRun>[],
  probes: P | undefined,
): Observations<P> =>
  // TypeScript knows only that the values are cohorts.
  Object.fromEntries(
    Object.entries(probes ?? {}).map(([name, probe]) => [name, runs.map((of) => mapCohort(of, probe))]),
  ) as unknown as Observations<P>

/**
 * The study's graph. A pipeline file names what is to be made:
 *
 * ```ts
 * const { report, observations } = study({ …, probes: { watched: { norms: (run) => weightNorm({ run, steps }) } } })
 * return { report, norms: lineChart({ title: "Norms", x: "step", y: "norm", observations: observations.watched.norms }) }
 * ```
 *
 * @param settings.probes probes besides the study's own: of all runs, or only of those in `watched`
 * @returns all runs and the watched ones, as cohorts labelled `{ arm, lr }` or, where an arm's checkpoints have seeds,
 *   `{ arm, checkpoint, lr }`; what the study's own probes observe
 *   (`ranks` before and during fine-tuning, `trajectories`) and what the added ones do (`observations`); its report
 * @throws InvalidInput if a watched run is not among the runs, or a learning rate, arm, checkpoint or seed is given
 *   twice
 */
export const study = <All extends Probes, Watched extends Probes>({
  probes,
  ...settings
}: StudySettings & {
  readonly probes?: { readonly all?: All; readonly watched?: Watched }
}) => {
  const { title, provenance, data, arms, samples, threshold, fineTuning } = settings
  const named = new Map(arms.map((arm) => [arm.name, arm]))
  checkArms(arms)
  const made = new Map<string, StudyRun>()
  const once = (labels: Labels, seed: number, make: () => StudyRun): StudyRun => {
    const key = JSON.stringify([labels, seed])
    const run = made.get(key) ?? make()
    made.set(key, run)
    return run
  }
  const runsOf = (seeds: readonly number[], learningRates: readonly number[]) =>
    // A grid over names, so that two arms of the same name are refused: the report could not tell them apart.
    grid({ arm: arms.map(({ name }) => name), lr: learningRates }, ({ arm, lr }) => {
      const { checkpoints, fineTune = settings.fineTune ?? classification } = named.get(arm)!
      return checkpoints.map(({ seed: ofCheckpoint, checkpoint }) => {
        const labels = { arm, ...(ofCheckpoint === null ? {} : { checkpoint: ofCheckpoint }), lr }
        return cohort(labels, seeds, (seed) =>
          once(labels, seed, () => fineTune({ ...fineTuning, data, checkpoint, lr, seed })),
        )
      })
    }).flat()
  const runs = runsOf(settings.seeds, settings.lr)
  checkWatched(settings)
  const watched = watchedRuns(settings, runs)

  const spectrum = { samples, ...(threshold === undefined ? {} : { threshold }) }
  // Before the first update the learning rate has no effect: the runs at the first one stand for all of a checkpoint.
  const { before } = observe(runsOf(settings.rankSeeds ?? settings.seeds, settings.lr.slice(0, 1)), {
    before: (run) => fisher({ run, ...spectrum, steps: { at: [0] } }),
  })
  const { during, trajectories } = observe(watched, {
    during: (run) => fisher({ run, ...spectrum, steps: { at: [1, 2, 3, 4], every: "warmup", last: true } }),
    trajectories: (run) => trajectory({ run, steps: { at: [1], every: "warmup", last: true } }),
  })
  const ranks = [...before, ...during]
  const observations = { all: observe(runs, probes?.all), watched: observe(watched, probes?.watched) }
  return {
    runs,
    watched,
    ranks,
    trajectories,
    observations,
    report: studyPage({
      title,
      provenance,
      arms: arms.map(({ name }) => name),
      claims: [...(settings.claims ?? [])],
      ...(settings.settings === undefined ? {} : { settings: settings.settings }),
      paper: { stability: [...paperFigures.stability], ranks: [...paperFigures.ranks] },
      runs,
      ranks,
      trajectories,
      furtherTraining: furtherTrainingOf(arms),
      // For claims alone: without any, added probes leave the report as it is.
      observations:
        settings.claims === undefined
          ? []
          : [
              ...Object.values(observations.all),
              ...Object.values(observations.watched),
              settings.observed ?? [],
            ].flat(),
    }),
  }
}

/** The checkpoints of further training by arm and seed; those that several arms share are the first one's. */
const furtherTrainingOf = (arms: readonly Arm[]): readonly Cohort<Node<typeof Checkpoint>>[] => {
  const seen = new Set<Node>()
  return arms.flatMap(({ name, checkpoints }) => {
    const members = checkpoints.flatMap(({ seed, checkpoint }) =>
      seed === null || seen.has(checkpoint) ? [] : { seed, node: checkpoint },
    )
    for (const { node } of members) seen.add(node)
    return members.length === 0 ? [] : { labels: { arm: name }, members }
  })
}

const watchedRuns = ({ arms, watched }: StudySettings, runs: readonly Cohort<StudyRun>[]) => {
  const first = new Map(arms.map(({ name, checkpoints }) => [name, checkpoints[0]?.seed]))
  const isWatched = ({ arm, checkpoint, lr }: Labels): boolean =>
    watched.arms.some((name) => name === arm) &&
    watched.lr.some((value) => value === lr) &&
    (checkpoint === undefined ||
      (watched.checkpoints?.some((seed) => seed === checkpoint) ?? checkpoint === first.get(`${arm}`)))
  return runs
    .filter(({ labels }) => isWatched(labels))
    .map(({ labels, members }) => ({
      labels,
      members: members.filter(({ seed }) => watched.seeds.includes(seed)),
    }))
}
