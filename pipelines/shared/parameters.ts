/**
 * The settings of a study as parameters of pipeline files, to be spread into `parameters: type({ "+": "reject", … })`.
 * The defaults are the paper's or, of those marked "(unsaid by the paper)", what the code that it builds on does;
 * `unsaid` lists these. A pipeline with another default declares the parameter again:
 *
 * ```ts
 * parameters: type({ "+": "reject", ...studyParameters, seeds: runSeeds.default(() => [1, 2, 3, 4, 5]) })
 * ```
 */
import { type Traversal, type } from "arktype"
import { adamw } from "../../core/tensor/optimisers/adamw.ts"
import type { FineTuning, StudySettings } from "./study.ts"
import { taskNames } from "./tasks.ts"

/** If a value were given twice, the tables would count its runs twice. */
const different = (values: readonly unknown[], context: Traversal): boolean =>
  new Set(values).size === values.length || context.mustBe("a list of different values")

/** Peak learning rates of fine-tuning. */
export const learningRates = type("number > 0").array().atLeastLength(1).narrow(different)

/** Seeds of runs. */
export const runSeeds = type("0 <= number.integer <= 4294967295").array().atLeastLength(1).narrow(different)

/** Dropout rates of SimCSE; an empty list leaves only the vanilla model. */
export const dropoutRates = type("0 <= number < 1").array().narrow(different)

/** Names of control arms. */
export const controlArms = type("'mlm' | 'no-dropout' | 'fresh-pooler'").array().narrow(different)

/** The name of a task of GLUE. */
export const taskName = type.enumerated(...taskNames)

export const taskParameters = {
  /** Task of GLUE to fine-tune on. */
  task: taskName.default("rte"),
  /** How many training examples to keep, all by default: a sample that is the same in all runs. */
  "trainExamples?": "1 <= number.integer <= 10000000",
  /** Maximum tokens per example, special tokens included; longer ones are truncated (unsaid by the paper). */
  maxLength: "5 <= number.integer <= 512 = 128",
} as const

export const simcseParameters = {
  /** Dropout rates of SimCSE, each of which gives an arm; empty for none. */
  dropout: dropoutRates.default(() => [0.05, 0.1, 0.3, 0.4, 0.5]),
  /** Seeds of further training, each of which gives every further-trained arm a checkpoint (unsaid by the paper). */
  simcseSeeds: runSeeds.default(() => [42]),
  /** Peak learning rate of SimCSE (unsaid by the paper). */
  simcseLr: "0 < number < 1 = 0.00001",
  /** Sentences per update of SimCSE (unsaid by the paper). */
  simcseBatch: "2 <= number.integer <= 65536 = 64",
  /** Temperature of SimCSE's loss (unsaid by the paper). */
  temperature: "0 < number <= 100 = 0.05",
  /** Updates of SimCSE between two evaluations on the dev set of STS-B (unsaid by the paper). */
  evalEvery: "number.integer >= 1 = 125",
  /**
   * Which checkpoint of SimCSE is fine-tuned: the `best` on the dev set of STS-B, if there is one, or the `last`
   * (unsaid by the paper).
   */
  selection: "'best' | 'last' = 'best'",
  /**
   * Control arms: `mlm` trains by masked-language modelling for as many updates as SimCSE, `no-dropout` is SimCSE
   * without dropout, `fresh-pooler` adds every arm again with a pooler that fine-tuning draws anew.
   */
  controls: controlArms.default(() => []),
} as const

export const fineTuningParameters = {
  /** Peak learning rates of fine-tuning. */
  lr: learningRates.default(() => [5e-6, 1e-5, 1.5e-5, 2e-5, 2.5e-5, 3e-5]),
  /** Seeds of fine-tuning, each of which gives a run for every checkpoint and learning rate. */
  seeds: runSeeds.default(() => Array.from({ length: 30 }, (_, i) => i + 1)),
  /** Examples per update of fine-tuning. */
  batch: "1 <= number.integer <= 65536 = 16",
  /** Epochs of fine-tuning; fractions are allowed. */
  epochs: "0 < number <= 10000 = 3",
  /** Fraction of fine-tuning's updates over which the learning rate rises. */
  warmup: "0 <= number <= 1 = 0.1",
  /** Whether fine-tuning's AdamW corrects the bias of its moments. */
  biasCorrection: "boolean = false",
  /** Norm above which fine-tuning scales its gradients down (unsaid by the paper). */
  clip: "number > 0 = 1",
  /** Fine-tuning's epsilon of AdamW (unsaid by the paper). */
  epsilon: "0 < number <= 1 = 0.000001",
  /** Fine-tuning's weight decay (unsaid by the paper). */
  decay: "0 <= number <= 1 = 0",
  /** Dropout rate of fine-tuning, the same in every arm (unsaid by the paper). */
  fineTuneDropout: "0 <= number < 1 = 0.1",
  /**
   * The pooler that fine-tuning starts from in every arm: the one `kept` in the checkpoint, or a `fresh` one (unsaid by
   * the paper).
   */
  pooler: "'kept' | 'fresh' = 'kept'",
} as const

export const fisherParameters = {
  /**
   * How many training examples the empirical Fisher is computed from: its largest possible rank (unsaid by the paper).
   */
  samples: "1 <= number.integer <= 256 = 16",
  /** Fraction of the trace that the effective rank's eigenvalues exceed. */
  threshold: "0 < number < 1 = 0.99",
} as const

export const rankParameters = {
  /**
   * Seeds of the ranks before fine-tuning, which take no training; by default those of fine-tuning (unsaid by the
   * paper).
   */
  "rankSeeds?": runSeeds,
} as const

/** Without one of them, a pipeline chooses. */
export const watchedParameters = {
  /** Arms whose runs are probed during fine-tuning. */
  "watchedArms?": "string[]",
  /** Learning rates of the runs that are probed during fine-tuning. */
  "watchedLr?": type("number > 0").array(),
  /** Seeds of the runs that are probed during fine-tuning. */
  "watchedSeeds?": type("number.integer >= 0").array(),
  /** Seeds of further training of the runs that are probed during fine-tuning; by default the first. */
  "watchedCheckpoints?": type("number.integer >= 0").array(),
} as const

/** All settings of a study, whatever its input. */
export const studyParameters = {
  ...taskParameters,
  ...simcseParameters,
  ...fineTuningParameters,
  ...fisherParameters,
  ...rankParameters,
  ...watchedParameters,
} as const

const StudyParameters = type({ "+": "reject", ...studyParameters })
export type StudyParameters = typeof StudyParameters.infer
type Of<P extends Readonly<Record<string, unknown>>> = Pick<
  StudyParameters,
  Extract<keyof StudyParameters, keyof P>
>
export type FineTuningParameters = Of<typeof fineTuningParameters>

/** The paper's settings, by the names of the parameters. */
export const paperSettings = {
  model: "BERT-large, uncased",
  ...StudyParameters.assert({}),
  sentences: 1_000_000,
  /** One epoch over the sentences. */
  simcseSteps: 15_625,
} as const

/** The settings that the paper leaves unsaid, so that it says nothing of how its findings depend on them. */
export const unsaid = [
  "maxLength",
  "simcseSeeds",
  "simcseLr",
  "simcseBatch",
  "temperature",
  "evalEvery",
  "selection",
  "clip",
  "epsilon",
  "decay",
  "fineTuneDropout",
  "pooler",
  "samples",
  "rankSeeds",
  "sentences",
  "simcseSteps",
] as const satisfies readonly (keyof typeof paperSettings)[]

type SettingValue = string | number | boolean
const isValue = (value: unknown): value is SettingValue | SettingValue[] =>
  Array.isArray(value) ? value.every(isValue) : ["string", "number", "boolean"].includes(typeof value)

/** Parameters that say where files are, or what there is besides the paper's arms and figures. */
const notSettings = /^(glue|corpus|vocabulary|sts|positions|vocabularySize|controls|watched.*)$/

/** What the study begins with comes first, then its settings in the order of this file, then all others. */
const order = ["model", "size", ...Object.keys(studyParameters).map((name) => name.replace(/\?$/, ""))]
const placeOf = (setting: string): number => {
  const place = order.indexOf(setting)
  return place < 0 ? order.length : place
}

/**
 * The settings of a study for its report, with those of the paper beside them.
 *
 * @param p the pipeline's parameters
 * @param input the model and the task in words, as the study's input has them
 */
export const settingsOf = (
  p: Readonly<Record<string, unknown>> & Pick<Partial<StudyParameters>, "simcseBatch">,
  { model, task }: { readonly model: string; readonly task: string },
) => {
  const { simcseSteps, sentences, simcseBatch = 1 } = p
  const epoch = simcseSteps === 0 ? { simcseSteps: Math.ceil(Number(sentences) / simcseBatch) } : {}
  const paper: Readonly<Record<string, unknown>> = paperSettings
  const settings = Object.entries<unknown>({ ...p, ...epoch, model, task }).sort(
    ([a], [b]) => placeOf(a) - placeOf(b),
  )
  return settings.flatMap(([setting, ours]) => {
    if (notSettings.test(setting) || !isValue(ours)) return []
    const theirs = paper[setting]
    return {
      setting,
      ours,
      ...(isValue(theirs) ? { paper: theirs } : {}),
      unsaid: (unsaid as readonly string[]).includes(setting),
    }
  })
}

/** The runs that probes watch: those that the parameters choose or, where one does not, those of `otherwise`. */
export const watchedBy = (
  p: Pick<StudyParameters, "watchedArms" | "watchedLr" | "watchedSeeds" | "watchedCheckpoints">,
  otherwise: StudySettings["watched"],
): StudySettings["watched"] => ({
  arms: p.watchedArms ?? otherwise.arms,
  lr: p.watchedLr ?? otherwise.lr,
  seeds: p.watchedSeeds ?? otherwise.seeds,
  ...(p.watchedCheckpoints === undefined ? {} : { checkpoints: p.watchedCheckpoints }),
})

/** The options of every run's fine-tuning. */
export const fineTuningOf = (p: Omit<FineTuningParameters, "lr" | "seeds">): FineTuning => ({
  batchSize: p.batch,
  epochs: p.epochs,
  warmupRatio: p.warmup,
  clip: p.clip,
  dropout: p.fineTuneDropout,
  optimiser: adamw({ biasCorrection: p.biasCorrection, epsilon: p.epsilon, weightDecay: p.decay }),
  ...(p.pooler === "fresh" ? { reinitialise: 0 } : {}),
})
