/** Fine-tuning plugins from their objective: everything else is the same for all. */
import { join } from "node:path"
import type { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { type Identity, type Plugin, plugin, type RunContext } from "../../../core/api/plugin.ts"
import { Checkpoint, type CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import { baselineOf, Examples } from "../../../core/artifacts/examples.ts"
import { Run, type RunGiven } from "../../../core/artifacts/run.ts"
import { countOf } from "../../../core/artifacts/sequences.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import type { FileError } from "../../../core/io/files.ts"
import { copy, linkFolder, transferExisting } from "../../../core/io/link.ts"
import { shuffledBatches } from "../../../core/tensor/epochs.ts"
import { Parameters } from "../../../core/tensor/parameters.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { metricsBefore, train } from "../../../core/tensor/training.ts"
import type { UpdateRule } from "../../../core/tensor/training-phases.ts"
import {
  classifierProblems,
  limitsOfCheckpoint,
  outputNames,
  sequenceProblems,
} from "../../model/compatibility.ts"
import { configOf, withDropout } from "../../model/config.ts"
import {
  activationBytes,
  forwardCalls,
  forwardFlops,
  trainingCalls,
  trainingFlops,
  workloadOf,
} from "../../model/cost.ts"
import type { EncoderModel, TrainableModel } from "../../model/encoder.ts"
import { loadModel, saveModel } from "../../model/hugging-face.ts"
import {
  blocksOf,
  countParameters,
  layerOf,
  type OutputHead,
  type ParameterSpec,
  parametersOf,
} from "../../model/parameters.ts"
import { predictionBatch } from "../../model/predict.ts"
import { tokenizerFiles } from "../../model/tokenizer.ts"
import type { ClassifierView } from "../../model/view.ts"
import { logitsOf, lossOf, predict } from "./classifier.ts"
import { type Objective, predictionOf } from "./objective.ts"
import { Changes, type FineTuningOptions } from "./options.ts"
import {
  epochsOf,
  lengthOf,
  type Phase,
  phaseAt,
  phaseProblems,
  phasesOf,
  ratesOf,
  startsAnew,
} from "./phases.ts"
import { frozenBlocks, multipliersOf, redrawLayers, trainedProblems } from "./trained.ts"
import { viewOf } from "./view.ts"

interface OptionsType extends type.Any {
  readonly infer: FineTuningOptions
}

interface Definition<O extends OptionsType> extends Omit<Identity, "version"> {
  /** Raise it when the same options and inputs give a different run; 1 by default. */
  readonly version?: number
  /** An arktype of `fineTuningOptions` and the method's own options. */
  readonly options: O
  readonly objective: (options: O["infer"]) => Objective
}

const takes = { data: Examples, checkpoint: Checkpoint }

/** A plugin that fine-tunes. */
export type FineTuning<O extends OptionsType> = Plugin<O, typeof takes, typeof Run, ClassifierView> & {
  /** What it learns with these options, defaults filled in. */
  readonly objective: (options: O["infer"]) => Objective
}

const outputHeads: readonly OutputHead[] = ["pooler", "classifier"]

/**
 * A plugin that fine-tunes an encoder on labelled examples (Devlin et al. 2019, section 4) for an objective, with a new
 * classifier or, in a chain of tasks with the same labels, the checkpoint's. The model after the last update is
 * evaluated on the dev split.
 *
 * A branch replays the run up to its step and goes on with other options; see `Changes` for what each of them means then.
 *
 * The seed drives independent streams: `head` (the weights of a new classifier, of the pooler if the checkpoint has
 * none, and of layers that are drawn anew), `order` (the batches), `dropout`, `parametrisation`, and `probe` (for the
 * probes that watch the run).
 *
 * ```ts
 * export const smoothed = fineTuning({
 *   name: "smoothed", module: import.meta.url, summary: "Cross-entropy with smoothed labels",
 *   options: type({ "+": "reject", ...fineTuningOptions, smoothing: "0 <= number < 1 = 0.1" }),
 *   objective: ({ smoothing }) => ({ labels: "classes", loss: ({ labels_N, forward }) => … }),
 * })
 * ```
 */
export const fineTuning = <O extends OptionsType>({
  name,
  version = 1,
  module,
  summary,
  options,
  objective: objectiveOf,
}: Definition<O>): FineTuning<O> => {
  const refuse = (problems: readonly string[]) => new InvalidInput({ what: name, problems })
  const labelProblems = ({ labels }: Objective, found: Objective["labels"]) =>
    labels === found ? [] : [`data must be labelled with ${labels}, but its labels are ${found}`]

  const run = Effect.fn(name)(function* (context: RunContext<O["infer"], typeof takes, ClassifierView>) {
    const { options, inputs, scratch, watch } = context
    const { data, checkpoint } = inputs
    const { seed, reinitialise } = options
    const examples = countOf(data.train.sequences)
    const phases = phasesOf(options, examples)
    const objective = objectiveOf(options)
    const misfits = [
      ...phaseProblems(phases),
      ...labelProblems(objective, data.labelNames === null ? "scores" : "classes"),
      ...(objective.problems?.(data) ?? []),
    ]
    if (misfits.length > 0) return yield* refuse(misfits)
    const head = stream(seed, "head")
    const loaded = yield* Effect.acquireRelease(
      loadModel(checkpoint.folder, {
        outputHeads: {
          pooler: reinitialise === undefined ? { readOrDraw: head } : { draw: head },
          classifier: options.classifier === "new" ? { draw: head } : "read",
        },
        labels: outputNames(data.labelNames),
      }),
      ({ parameters }) => Effect.sync(() => parameters.dispose()),
    )
    const model: TrainableModel = {
      ...loaded,
      config: withDropout(loaded.config, phases.at(-1)!.options.dropout),
    }
    const limits = limitsOfCheckpoint(checkpoint, model.config)
    const specs = parametersOf(model.config, outputHeads)
    const blocks = blocksOf(specs)
    const problems = [
      ...classifierProblems(
        "the checkpoint's classifier",
        model.config.labels,
        data.labelNames,
        'draw one by classifier: "new", or take a checkpoint that was fine-tuned for these labels',
      ),
      ...trainedProblems([...blocks.keys()], frozenIn(phases), reinitialise ?? 0),
      ...(["train", "dev"] as const).flatMap((split) =>
        sequenceProblems(`the ${split} split`, data[split].sequences, data.vocabularySize, limits),
      ),
    ]
    if (problems.length > 0) return yield* refuse(problems)
    const redrawn = redrawLayers(model.config, loaded.parameters, specs, reinitialise ?? 0, head)
    const pretrained = specs.filter(({ block }) => !drawn(block, loaded.drawn, redrawn))
    const start = yield* Effect.acquireRelease(
      Effect.sync(() => startOf(phases, loaded.parameters, pretrained)),
      (parameters) => Effect.sync(() => parameters?.dispose()),
    )

    const length = lengthOf(phases)
    const { steps } = length
    const turns = phases.map((phase) => ({
      ...phase,
      batchOf: shuffledBatches(stream(phase.options.seed, "order"), examples, phase.options.batchSize),
    }))
    const ruleOf = (now: FineTuningOptions): UpdateRule => ({
      optimiser: now.optimiser,
      multipliers: multipliersOf(specs, frozenBlocks(now.frozen, [...blocks.keys()]), now.layerwiseDecay),
      regulariser: now.regulariser,
      parametrised: now.parametrisation && {
        by: now.parametrisation,
        sites: linearSites(specs, pretrained),
        stream: stream(now.seed, "parametrisation"),
      },
      clip: now.clip,
    })
    const view = viewOf({
      model,
      specs,
      data,
      length,
      seed,
      logits: (batch) => logitsOf(model, batch),
      predictionOf: predictionOf(objective),
      lossOf: (examples) => {
        const all = Int32Array.from(examples.labels, (_, n) => n)
        return lossOf(model, objective, examples, all)
      },
    })

    yield* watch.start(length, view.guard)
    const until = watch.wanted ? steps : Math.max(0, watch.last())
    const metrics = yield* train({
      parameters: loaded.parameters,
      learningRates: ratesOf(phases),
      ...ruleOf(phases[0]!.options),
      changes: phases.slice(1).map(({ from, options: now }, i) => ({
        ...ruleOf(now),
        from,
        newState: startsAnew(phases[i]!.options.optimiser, now.optimiser),
      })),
      start,
      loss: (update, parameters) => {
        const { options: now, batchOf } = phaseAt(turns, update)
        return lossOf({ ...model, parameters }, objective, data.train, batchOf(update), {
          rate: now.dropout,
          seed: now.seed,
          update,
        })
      },
      scratch,
      until,
      settled: watch.settled,
      at: (step, last) =>
        watch.wants(step) ? Effect.flatMap(last, (last) => watch.at(step, view.at(step, last))) : Effect.void,
    })
    yield* watch.end(view.at(until, metricsBefore(metrics, until)))
    const { wanted } = watch
    const given: RunGiven = {
      ...metrics,
      ...length,
      seed,
      predictions: wanted ? yield* predict(model, objective, data.dev.sequences, steps) : new Float64Array(),
      labels: wanted ? data.dev.labels : new Float64Array(),
      metrics: data.metrics,
      baseline: baselineOf(data),
      ...(wanted &&
        options.keepModel && { saveModel: yield* keep(join(scratch, "model"), model, checkpoint) }),
    }
    return given
  }, Effect.scoped)

  const made = plugin({
    name,
    stage: "finetune",
    version,
    module,
    summary,
    options,
    takes,
    gives: Run,
    usesBackend: true,
    watchable: true,
    changes: Changes,
    comparedBy: "run-comparison",
    estimate: (options, { data, checkpoint }) => {
      const objective = objectiveOf(options)
      const { batchSize, keepModel, reinitialise = 0 } = options
      const phases = phasesOf(options, data.train)
      const { steps, warmupSteps } = lengthOf(phases)
      const { layers, hidden, intermediate } = checkpoint
      const labels = Array.from({ length: data.labels }, (_, label) => `${label}`)
      const config = { ...configOf("tiny", checkpoint.vocabularySize, 0), ...checkpoint, labels }
      const specs = parametersOf(config, outputHeads)
      const blocks = [...blocksOf(specs).keys()]
      const problems = [
        ...phaseProblems(phases),
        ...labelProblems(objective, data.labelKind),
        ...trainedProblems(blocks, frozenIn(phases), reinitialise),
      ]
      if (problems.length > 0) throw refuse(problems)
      const stills = phases.map(({ options: { frozen } }) => frozenBlocks(frozen, blocks))
      const parameters = countParameters(specs)
      const trained = countParameters(specs.filter(({ block }) => stills.some((still) => !still.has(block))))
      const workload = (sequences: number) => workloadOf(sequences, data.tokensPerExample)
      const bytes = Float32Array.BYTES_PER_ELEMENT
      const model = bytes * parameters
      const start = phases.some(({ options }) => needsStart(options)) ? model : 0
      const passes = objective.passes ?? 1
      const all = passes * trainingFlops(config, outputHeads, workload(data.train))
      const epochs = epochsOf(phases)
      // The backward pass, two thirds of the arithmetic, ends above the lowest blocks if all of them are frozen.
      const training = stills.reduce((sum, still, i) => {
        const below = blocks.findIndex((block) => !still.has(block))
        const skipped = Math.max(0, below - 1) / layers
        return sum + epochs[i]! * all * (1 - (2 / 3) * skipped)
      }, 0)
      return {
        artifact: {
          steps,
          warmupSteps,
          batchSize,
          tokensPerExample: data.tokensPerExample,
          parameters,
          layers,
          hidden,
          intermediate,
          heads: checkpoint.heads,
          vocabularySize: checkpoint.vocabularySize,
          positions: checkpoint.positions,
          keepsModel: keepModel,
          traits: {
            ...checkpoint.traits,
            ...(options.reinitialise === undefined ? {} : { pooler: "drawn anew by fine-tuning" }),
          },
        },
        replay: { length: { steps, warmupSteps }, flopsPerStep: training / steps },
        cost: cost({
          flops: training + forwardFlops(config, outputHeads, workload(data.dev)),
          calls:
            steps * passes * trainingCalls(config) +
            Math.ceil(data.dev / predictionBatch) * forwardCalls(config),
          // Parameters, and for those that are trained their gradients and at most two moments.
          memory:
            model + 3 * bytes * trained + start + passes * activationBytes(checkpoint, workload(batchSize)),
          // Losses, learning rates and gradient norms in float64; predictions and labels in float64.
          disk: 3 * 8 * steps + 2 * 8 * data.dev + (keepModel ? model : 0),
          // The previous and the new saved state of training, each with trained parameters and moments.
          scratch: 2 * 3 * bytes * trained + (keepModel ? model : 0),
        }),
      }
    },
    run,
  })
  return Object.assign(made, { objective: objectiveOf })
}

/** Whether the parameters of a block were drawn at random, not read from the checkpoint. */
const drawn = (block: string, heads: readonly OutputHead[], layers: readonly string[]): boolean =>
  layers.includes(block) || heads.some((head) => head === block)

const frozenIn = (phases: readonly Phase[]) => phases.map(({ options: { frozen } }) => frozen)

const needsStart = ({ regulariser, parametrisation }: FineTuningOptions): boolean =>
  regulariser !== undefined || parametrisation !== undefined

/** What a regulariser or a parametrisation needs of the checkpoint; the tensors share their memory with the model's. */
const startOf = (
  phases: readonly Phase[],
  parameters: Parameters,
  pretrained: readonly ParameterSpec[],
): Parameters | undefined => {
  if (!phases.some(({ options }) => needsStart(options))) return undefined
  const start = new Parameters()
  for (const { name } of pretrained) start.set(name, parameters.get(name).clone())
  return start
}

/** The weights of the linear layers that were pretrained, each with the site that it draws from: its index. */
const linearSites = (
  specs: readonly ParameterSpec[],
  pretrained: readonly ParameterSpec[],
): ReadonlyMap<string, number> =>
  new Map(
    specs.flatMap((spec, site) => {
      const isLinear =
        spec.role === "weight" && (layerOf(spec.block) !== undefined || spec.block === "pooler")
      return isLinear && pretrained.includes(spec) ? [[spec.name, site] as const] : []
    }),
  )

/**
 * Writes the model to a folder at the end of the run, since its tensors do not outlive the run.
 *
 * @returns a function that links the folder's files into the artifact
 */
const keep = Effect.fnUntraced(function* (folder: string, model: EncoderModel, checkpoint: CheckpointTaken) {
  yield* saveModel(folder, model, "BertForSequenceClassification")
  yield* transferExisting(copy, checkpoint.folder, tokenizerFiles, folder)
  return (target: string): Effect.Effect<void, FileError> => linkFolder(folder, target)
})
