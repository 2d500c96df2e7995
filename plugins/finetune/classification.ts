import * as fs from "node:fs/promises"
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Checkpoint, type CheckpointTaken } from "../../core/artifacts/checkpoint.ts"
import { baselineOf, Examples } from "../../core/artifacts/examples.ts"
import { Run, type RunGiven } from "../../core/artifacts/run.ts"
import { countOf } from "../../core/artifacts/sequences.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { attempt, type FileError } from "../../core/io/files.ts"
import { copy, transferExisting } from "../../core/io/link.ts"
import { batchesPerEpoch, shuffledBatches } from "../../core/tensor/epochs.ts"
import { softmaxCrossEntropy } from "../../core/tensor/ops/softmax-cross-entropy.ts"
import { linearSchedule, stepsIn } from "../../core/tensor/schedule.ts"
import { stream } from "../../core/tensor/stream.ts"
import { metricsBefore, train } from "../../core/tensor/training.ts"
import type { BertModel, TrainableModel } from "../model/bert.ts"
import { limitsOfCheckpoint, sequenceProblems } from "../model/compatibility.ts"
import { configOf, withDropout } from "../model/config.ts"
import { activationBytes, forwardFlops, trainingFlops, workloadOf } from "../model/cost.ts"
import { loadModel, saveModel } from "../model/hugging-face.ts"
import { countParameters, type OutputHead, parametersOf } from "../model/parameters.ts"
import { tokenizerFiles } from "../model/tokenizer.ts"
import type { ClassifierView } from "../model/view.ts"
import { logitsOf, lossOf, predict } from "./classification/classifier.ts"
import { viewOf } from "./shared/view.ts"

const positive = type("number > 0").narrow(
  (value, context) => Number.isFinite(value) || context.mustBe("finite"),
)

const Options = type({
  "+": "reject",
  /** The peak learning rate. */
  lr: positive,
  /** Drives the streams head, order, dropout and probe. */
  seed: "0 <= number.integer <= 4294967295",
  /** Examples per update; the last batch of an epoch may be smaller. */
  batchSize: "1 <= number.integer <= 65536 = 16",
  /** Epochs over the train split; fractions are allowed. */
  epochs: "0 < number <= 10000 = 3",
  /** Linear warm-up as a fraction of all updates; the learning rate then falls linearly to 0 at the end. */
  warmupRatio: "0 <= number <= 1 = 0.1",
  /** Gradients whose norm exceeds this are scaled down to it. */
  clip: positive.default(1),
  /** Decay rate of the first moment. */
  beta1: "0 <= number < 1 = 0.9",
  /** Decay rate of the second moment. */
  beta2: "0 <= number < 1 = 0.999",
  /** Added to the root of the second moment. */
  epsilon: positive.default(1e-6),
  /** Decoupled weight decay of all parameters. */
  weightDecay: "0 <= number <= 1 = 0",
  /** AdamW's bias correction. Without it the first updates are several times larger, and runs are less stable. */
  biasCorrection: "boolean = false",
  /** The dropout rate throughout the model, whatever its checkpoint was trained with. */
  dropout: "0 <= number < 1 = 0.1",
  /** Whether the fine-tuned model is kept with the run. */
  keepModel: "boolean = false",
})
type Options = typeof Options.infer

const takes = { data: Examples, checkpoint: Checkpoint }
const outputHeads: readonly OutputHead[] = ["pooler", "classifier"]

const lengthOf = (options: Options, examples: number) => {
  const perEpoch = batchesPerEpoch(examples, options.batchSize)
  const steps = stepsIn(options.epochs, perEpoch)
  return { steps, warmupSteps: stepsIn(options.warmupRatio, steps) }
}

const scoresRefused = new InvalidInput({
  what: "classification",
  problems: ["data must be labelled with classes, but its labels are scores"],
})

/**
 * Writes the model to a folder at the end of the run, since its tensors do not outlive the run.
 *
 * @returns a function that copies the folder into the artifact
 */
const keep = Effect.fnUntraced(function* (folder: string, model: BertModel, checkpoint: CheckpointTaken) {
  yield* saveModel(folder, model, "BertForSequenceClassification")
  yield* transferExisting(copy, checkpoint.folder, tokenizerFiles, folder)
  return (target: string): Effect.Effect<void, FileError> =>
    attempt("write", target, () => fs.cp(folder, target, { recursive: true }))
})

const run = Effect.fn("classification")(function* (
  context: RunContext<Options, typeof takes, ClassifierView>,
) {
  const { options, inputs, scratch, watch } = context
  const { data, checkpoint } = inputs
  const { seed } = options
  if (data.labelNames === null) return yield* scoresRefused
  const head = stream(seed, "head")
  const loaded = yield* Effect.acquireRelease(
    loadModel(checkpoint.folder, {
      outputHeads: { pooler: { readOrDraw: head }, classifier: { draw: head } },
      labels: data.labelNames,
    }),
    ({ parameters }) => Effect.sync(() => parameters.dispose()),
  )
  const model: TrainableModel = { ...loaded, config: withDropout(loaded.config, options.dropout) }
  const limits = limitsOfCheckpoint(checkpoint, model.config)
  const problems = (["train", "dev"] as const).flatMap((split) =>
    sequenceProblems(`the ${split} split`, data[split].sequences, data.vocabularySize, limits),
  )
  if (problems.length > 0) return yield* new InvalidInput({ what: "classification", problems })

  const length = lengthOf(options, countOf(data.train.sequences))
  const { steps, warmupSteps } = length
  const batchOf = shuffledBatches(stream(seed, "order"), countOf(data.train.sequences), options.batchSize)
  const dropout = { rate: options.dropout, stream: stream(seed, "dropout") }
  const view = viewOf({
    model,
    specs: parametersOf(model.config, outputHeads),
    data,
    length,
    seed,
    logits: (batch) => logitsOf(model, batch),
    objective: (logits_NC, labels) => softmaxCrossEntropy(logits_NC, Int32Array.from(labels)),
  })

  yield* watch.start(length, view.guard)
  const until = watch.wanted ? steps : Math.max(0, watch.last())
  const metrics = yield* train({
    parameters: model.parameters,
    learningRates: linearSchedule(options.lr, steps, warmupSteps),
    optimiser: options,
    clip: options.clip,
    loss: (update) => lossOf(model, data.train, batchOf(update), { ...dropout, iteration: update }),
    scratch,
    until,
    at: (step, last) => (watch.wants(step) ? watch.at(step, view.at(step, last)) : Effect.void),
  })
  yield* watch.end(view.at(until, metricsBefore(metrics, until)))
  const { wanted } = watch
  const given: RunGiven = {
    ...metrics,
    ...length,
    seed,
    predictions: wanted ? yield* predict(model, data.dev.sequences, steps) : new Float64Array(),
    labels: wanted ? data.dev.labels : new Float64Array(),
    metrics: data.metrics,
    baseline: baselineOf(data),
    ...(wanted && options.keepModel && { saveModel: yield* keep(join(scratch, "model"), model, checkpoint) }),
  }
  return given
}, Effect.scoped)

/**
 * Fine-tunes a BERT with a new classifier on labelled examples (Devlin et al. 2019, section 4): AdamW, by default
 * without bias correction, with linear warm-up and decay. The model after the last update is evaluated on the dev
 * split.
 *
 * The seed drives four independent streams: `head` (the classifier's weights, and the pooler's if the checkpoint has
 * none), `order` (the batches), `dropout`, and `probe` (for the probes that watch the run).
 */
export const classification = plugin({
  name: "classification",
  stage: "finetune",
  version: 1,
  module: import.meta.url,
  summary: "Fine-tunes a BERT classifier with AdamW, by default without bias correction",
  options: Options,
  takes,
  gives: Run,
  usesBackend: true,
  watchable: true,
  estimate: (options, { data, checkpoint }) => {
    if (data.labelKind === "scores") throw scoresRefused
    const { batchSize, keepModel } = options
    const { steps, warmupSteps } = lengthOf(options, data.train)
    const { layers, hidden, intermediate } = checkpoint
    const labels = Array.from({ length: data.labels }, (_, label) => `${label}`)
    const config = { ...configOf("tiny", checkpoint.vocabularySize, 0), ...checkpoint, labels }
    const parameters = countParameters(parametersOf(config, outputHeads))
    const workload = (sequences: number) => workloadOf(sequences, data.tokensPerExample)
    const model = Float32Array.BYTES_PER_ELEMENT * parameters
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
      },
      replay: {
        length: { steps, warmupSteps },
        flopsPerStep: trainingFlops(config, outputHeads, workload(batchSize)),
      },
      cost: cost({
        flops:
          options.epochs * trainingFlops(config, outputHeads, workload(data.train)) +
          forwardFlops(config, outputHeads, workload(data.dev)),
        // Parameters, their gradients and AdamW's two moments.
        memory: 4 * model + activationBytes(checkpoint, workload(batchSize)),
        // Losses, learning rates and gradient norms in float64; predictions and labels in float64.
        disk: 3 * 8 * steps + 2 * 8 * data.dev + (keepModel ? model : 0),
        // The previous and the new saved state of training, each with parameters and moments.
        scratch: 2 * 3 * model + (keepModel ? model : 0),
      }),
    }
  },
  run,
})
