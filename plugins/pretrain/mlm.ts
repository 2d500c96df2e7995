/**
 * Masked-language-model training (Devlin et al. 2019), from scratch or from a checkpoint, with or without next-sentence
 * prediction. The defaults are the paper's, but weight decay applies to all parameters, biases and LayerNorms included.
 */
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { optional, plugin, type RunContext } from "../../core/api/plugin.ts"
import { Checkpoint, type CheckpointEstimate, type CheckpointTaken } from "../../core/artifacts/checkpoint.ts"
import { Corpus } from "../../core/artifacts/corpus.ts"
import { type Sequences, selectSequences } from "../../core/artifacts/sequences.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { decode } from "../../core/io/decode.ts"
import { writeFolder } from "../../core/io/files.ts"
import { link, linkFolder, transferExisting } from "../../core/io/link.ts"
import { batchesPerEpoch, shuffledBatches } from "../../core/tensor/epochs.ts"
import { optimiserOption } from "../../core/tensor/optimiser.ts"
import { adamw } from "../../core/tensor/optimisers/adamw.ts"
import { Parameters } from "../../core/tensor/parameters.ts"
import { learningRates, scheduleOption } from "../../core/tensor/schedule.ts"
import { linearSchedule } from "../../core/tensor/schedules/linear.ts"
import { type Stream, stream } from "../../core/tensor/stream.ts"
import { train } from "../../core/tensor/training.ts"
import { limitsOfCheckpoint, sequenceProblems } from "../model/compatibility.ts"
import { configOf, EncoderConfig } from "../model/config.ts"
import { workloadOf } from "../model/cost.ts"
import type { TrainableModel } from "../model/encoder.ts"
import { loadModel } from "../model/hugging-face.ts"
import { initialise } from "../model/initialise.ts"
import { type OutputHead, parametersOf } from "../model/parameters.ts"
import { encoderSize, sizeOption } from "../model/size.ts"
import { tokenizerFiles } from "../model/tokenizer.ts"
import { writeTokenizer } from "../model/vocabulary.ts"
import { halver, longestPair, moreTokens } from "./mlm/halves.ts"
import { maskedLoss, nextSentenceShapes, pairLoss } from "./mlm/masked-loss.ts"
import { chosenFraction, maskable, masker } from "./mlm/masking.ts"
import { trainingCost } from "./shared/cost.ts"
import { durationOptions, givenOnce, stepsOf } from "./shared/duration.ts"
import { saveExport, writeRecord } from "./shared/export.ts"
import { drawInto } from "./shared/own-parameters.ts"
import { batchProblems, refuse, vocabularyProblems } from "./shared/requirements.ts"
import { newModel, poolers, traitsAfter } from "./shared/traits.ts"

const Options = type({
  "+": "reject",
  ...durationOptions,
  /** The size of a new model; a checkpoint has its own. */
  "size?": sizeOption,
  /** The longest sequence that a new model takes, by default 512; a checkpoint has its own. */
  "positions?": "2 <= number.integer <= 65536",
  /** Sentences per update. */
  batchSize: "1 <= number.integer <= 65536 = 256",
  /** The peak learning rate. */
  lr: "0 < number < 1 = 0.0001",
  /** Fraction of the updates over which the learning rate rises linearly; then the schedule begins. */
  warmupRatio: "0 <= number <= 1 = 0.01",
  /** How the learning rate changes after warm-up: `linearSchedule`, `cosineSchedule`, `constantSchedule`. */
  schedule: scheduleOption.default(() => linearSchedule({})),
  /** One of `core/tensor/optimisers`, or one of your own. */
  optimiser: optimiserOption.default(() => adamw({ weightDecay: 0.01 })),
  /** Gradients whose norm exceeds this are scaled down to it. */
  clip: "number > 0 = 1",
  /** The dropout rate of hidden states and of attention probabilities. */
  dropout: "0 <= number < 1 = 0.1",
  /**
   * Whether to learn next-sentence prediction too, which trains the pooler and both token types. Each sentence of the
   * corpus is split in its middle, and half of them get another sentence's second half; where the corpus has pairs of
   * sentences, the two take the place of the halves.
   */
  nextSentence: "boolean = false",
  /** Drives the order of the sentences, their masks and halves, dropout, and new weights. */
  seed: "0 <= number.integer <= 4294967295 = 42",
}).narrow(givenOnce)
type Options = typeof Options.infer

const outputHeads: readonly OutputHead[] = ["pooler", "maskedLanguageModel"]
const defaultPositions = 512

/** Whether exactly one model is given: a size for a new one, or a checkpoint. */
const modelProblems = ({ size, positions }: Options, checkpoint: CheckpointTaken | undefined) => {
  if (checkpoint === undefined) {
    return size === undefined
      ? ["expected a size for a new model, such as mini, or a checkpoint to start from; found neither"]
      : []
  }
  return Object.entries({ size, positions }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name} is for a new model only; omit it, since the checkpoint has its own`],
  )
}

/** Why halves of the sentences do not fit the model. */
const halvesProblems = (
  sequences: Sequences,
  { positions, tokenTypes }: EncoderConfig,
): readonly string[] => {
  const length = longestPair(sequences)
  return [
    ...(tokenTypes > 1 ? [] : ["nextSentence needs a model with two token types; this one has one"]),
    ...(length <= positions
      ? []
      : [`nextSentence makes pairs of up to ${length} tokens, but the model takes at most ${positions}`]),
  ]
}

const takes = { corpus: Corpus, vocabulary: Vocabulary, checkpoint: optional(Checkpoint) }

const run = Effect.fn("mlm")(function* ({
  options,
  inputs: { corpus, vocabulary, checkpoint },
  scratch,
}: RunContext<Options, typeof takes, unknown>) {
  const config: EncoderConfig =
    checkpoint === undefined
      ? {
          ...configOf("base", vocabulary.tokens.length, vocabulary.special.pad),
          ...encoderSize(options.size ?? "base"),
          positions: options.positions ?? defaultPositions,
        }
      : yield* decode(join(checkpoint.folder, "config.json"), EncoderConfig)(checkpoint.config)
  const limits =
    checkpoint === undefined
      ? { ...config, vocabularyFrom: "the input vocabulary", positionsFrom: "the option positions" }
      : limitsOfCheckpoint(checkpoint, config)
  const { sequences, special, vocabularySize } = corpus
  const usable = maskable(sequences, special)
  yield* refuse("mlm", [
    ...modelProblems(options, checkpoint),
    ...batchProblems(sequences, usable.length, options.batchSize),
    ...sequenceProblems("corpus", sequences, vocabularySize, limits),
    ...(options.nextSentence ? halvesProblems(sequences, config) : []),
    ...(yield* vocabularyProblems(vocabulary, special, checkpoint)),
  ])

  const steps = stepsOf(options, usable.length, options.batchSize)
  const perEpoch = batchesPerEpoch(usable.length, options.batchSize)
  const batchOf = shuffledBatches(stream(options.seed, "order"), usable.length, options.batchSize)
  const mask = masker(special, vocabularySize, options.seed)
  const halve = halver(special, options.seed)
  const dropout = { rate: options.dropout, stream: stream(options.seed, "dropout") }
  const final = join(scratch, "final")

  const training = Effect.fnUntraced(function* (model: TrainableModel) {
    if (options.nextSentence) {
      drawInto(model.parameters, nextSentenceShapes(config.hidden), stream(options.seed, "loss"))
    }
    const metrics = yield* train({
      parameters: model.parameters,
      learningRates: learningRates(
        options.schedule,
        options.lr,
        steps,
        Math.round(options.warmupRatio * steps),
      ),
      optimiser: options.optimiser,
      clip: options.clip,
      loss: (update) => {
        const sentences = batchOf(update).map((index) => usable[index]!)
        const batch = selectSequences(sequences, sentences)
        const epoch = Math.floor(update / perEpoch)
        const now = { ...dropout, iteration: update }
        if (!options.nextSentence) return maskedLoss(model, mask(batch, sentences, epoch), now)
        const halves = halve(batch, sentences, epoch)
        return pairLoss(model, mask(halves.sequences, sentences, epoch), halves.labels, now)
      },
      scratch,
    })
    yield* writeFolder(final, (folder) => saveExport(folder, model, outputHeads))
    return metrics
  })
  const metrics = yield* Effect.acquireUseRelease(
    startingPoint(config, checkpoint, stream(options.seed, "head")),
    training,
    ({ parameters }) => Effect.sync(() => parameters.dispose()),
  )

  return {
    write: Effect.fnUntraced(function* (folder: string) {
      yield* linkFolder(final, folder)
      if (checkpoint === undefined) yield* writeTokenizer(folder, vocabulary)
      else yield* transferExisting(link, checkpoint.folder, tokenizerFiles, folder)
      yield* writeRecord(folder, {
        method: "mlm",
        options,
        sentences: usable.length,
        metrics,
        exportedStep: steps,
      })
    }),
  }
})

/**
 * The exported checkpoint has the masked-language-model head and a pooler. Without `nextSentence` nothing trains the
 * pooler: it stays as in the checkpoint, or as drawn from the seed, at the site of the stream from which
 * `simcse` draws its head. So the arms of a study with and without SimCSE all bring a pooler to fine-tuning, and with
 * equal seeds SimCSE's head starts as the pooler of the arm without it.
 */
export const mlm = plugin({
  name: "mlm",
  stage: "pretrain",
  version: 1,
  module: import.meta.url,
  summary: "Masked-language-model training, from scratch or from a checkpoint",
  options: Options,
  takes,
  gives: Checkpoint,
  usesBackend: true,
  estimate: (options, { corpus, vocabulary, checkpoint }) => {
    const model: CheckpointEstimate = checkpoint ?? {
      ...encoderSize(options.size ?? "base"),
      vocabularySize: vocabulary.size,
      positions: options.positions ?? defaultPositions,
    }
    const tokens = options.batchSize * corpus.tokensPerSentence
    const steps = stepsOf(options, corpus.sentences, options.batchSize)
    return {
      artifact: {
        ...model,
        traits: traitsAfter(checkpoint === undefined ? newModel : checkpoint.traits, {
          dropout: options.dropout,
          // Next sentences come as the second half of a pair.
          pairs: options.nextSentence || corpus.pairs,
          pooler: options.nextSentence ? poolers.nextSentences : undefined,
        }),
        training: { updates: `${steps}`, sentences: `${steps * options.batchSize}` },
      },
      cost: trainingCost({
        model,
        outputHeads,
        more: options.nextSentence ? Object.values(nextSentenceShapes(model.hidden)) : [],
        steps,
        update: workloadOf(
          options.batchSize,
          corpus.tokensPerSentence + (options.nextSentence ? moreTokens : 0),
          Math.ceil(chosenFraction * tokens),
        ),
        corpusTokens: corpus.sentences * corpus.tokensPerSentence,
        kept: 1,
      }),
    }
  },
  run,
})

/** The checkpoint's model, with missing output heads drawn, or a new model. */
const startingPoint = (config: EncoderConfig, checkpoint: CheckpointTaken | undefined, weights: Stream) => {
  if (checkpoint !== undefined) {
    const readOrDraw = { readOrDraw: weights }
    return loadModel(checkpoint.folder, {
      outputHeads: { pooler: readOrDraw, maskedLanguageModel: readOrDraw },
    })
  }
  return Effect.sync((): TrainableModel => {
    const specs = parametersOf(config, outputHeads)
    return { config, parameters: Parameters.fromHost(initialise(config, specs, weights)) }
  })
}
