/**
 * Contrastive training of an encoder on sentences, from the loss of an update: what all methods share, whatever their
 * sentences and losses are.
 */
import { join } from "node:path"
import type * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { Cost } from "../../../../core/api/cost.ts"
import { UnitFailure } from "../../../../core/api/failure.ts"
import type {
  CheckpointEstimate,
  CheckpointGiven,
  CheckpointTaken,
} from "../../../../core/artifacts/checkpoint.ts"
import type { Sequences } from "../../../../core/artifacts/sequences.ts"
import type { Similarity, SimilarityEstimate } from "../../../../core/artifacts/similarity.ts"
import { decode } from "../../../../core/io/decode.ts"
import { writeFolder } from "../../../../core/io/files.ts"
import { link, linkFolder, transferExisting } from "../../../../core/io/link.ts"
import { shuffledBatches } from "../../../../core/tensor/epochs.ts"
import { learningRates, stepsIn } from "../../../../core/tensor/schedule.ts"
import { stream } from "../../../../core/tensor/stream.ts"
import { train } from "../../../../core/tensor/training.ts"
import { limitsOfCheckpoint, sequenceProblems } from "../../../model/compatibility.ts"
import { EncoderConfig } from "../../../model/config.ts"
import { workloadOf } from "../../../model/cost.ts"
import type { EncoderModel, ModelDropout, TrainableModel } from "../../../model/encoder.ts"
import { loadModel } from "../../../model/hugging-face.ts"
import { tokenizerFiles } from "../../../model/tokenizer.ts"
import { trainingCost } from "../cost.ts"
import { stepsOf } from "../duration.ts"
import { saveExport, type TrainingRecord, writeRecord } from "../export.ts"
import { drawInto, type OwnShapes, ownName } from "../own-parameters.ts"
import { batchProblems, refuse } from "../requirements.ts"
import { poolers, traitsAfter } from "../traits.ts"
import type { ContrastiveOptions } from "./options.ts"
import { similarityProblems } from "./pairs.ts"
import { selection } from "./selection.ts"
import { pairsAtOnce, similarityScore } from "./sentence-similarity.ts"
import { sentenceEmbeddings } from "./views.ts"

/** What is trained on: items, such as sentences or triples of them, of which an update takes `batchSize`. */
export interface Material {
  /** The input that they came from, and what they are, for messages: `corpus`, `sentences`. */
  readonly input: string
  readonly unit: string
  /** All sequences that an update may take. */
  readonly sequences: Sequences
  readonly vocabularySize: number
  /** The number of items. */
  readonly count: number
}

export interface ContrastiveSettings {
  /** The name of the plugin. */
  readonly method: string
  readonly options: ContrastiveOptions
  readonly checkpoint: CheckpointTaken
  readonly dev: Similarity | undefined
  readonly scratch: string
  readonly material: Material
  readonly shapes: (hidden: number) => OwnShapes
  /**
   * The loss of an update.
   *
   * @param items_N the indices of the update's items
   * @param parameter a parameter of the loss's own, by its name
   */
  readonly loss: (
    model: EncoderModel,
    items_N: Int32Array,
    dropout: ModelDropout,
    parameter: <T extends tf.Tensor>(name: string) => T,
  ) => tf.Scalar
  /** What is recorded of the training besides the options, the loss and the evaluations. */
  readonly record?: Pick<TrainingRecord, "hardNegatives">
}

/**
 * With a dev set, the model is evaluated after every `evalEvery` updates and at the end, and by `selection` the one with
 * the best score (Spearman's correlation) is exported, the first of them in a tie, or the last. Without a dev set, it is
 * the last model.
 *
 * @throws InvalidInput if the sentences or the dev set do not fit the model
 * @throws UnitFailure if training diverged, or no score on the dev set was a number
 */
export const trainContrastively = Effect.fnUntraced(function* ({
  method,
  options,
  checkpoint,
  dev,
  scratch,
  material: { input, unit, sequences, vocabularySize, count },
  shapes,
  loss,
  record = {},
}: ContrastiveSettings) {
  const { seed } = options
  const config = yield* decode(join(checkpoint.folder, "config.json"), EncoderConfig)(checkpoint.config)
  const limits = limitsOfCheckpoint(checkpoint, config)
  yield* refuse(method, [
    ...batchProblems(sequences, count, options.batchSize, `${unit} in the ${input}`),
    ...sequenceProblems(input, sequences, vocabularySize, limits),
    ...(dev === undefined ? [] : similarityProblems("dev", dev, limits)),
  ])

  const steps = stepsOf(options, count, options.batchSize)
  const batchOf = shuffledBatches(stream(seed, "order"), count, options.batchSize)
  const dropout = { rate: options.dropout, stream: stream(seed, "dropout") }
  const chosen = yield* selection(join(scratch, "selection"))
  const last = join(scratch, "last")
  const keepsLast = dev === undefined || options.selection === "last"

  const training = Effect.fnUntraced(function* (model: TrainableModel) {
    const save = (folder: string) => saveExport(folder, model, ["pooler"])
    drawInto(model.parameters, shapes(model.config.hidden), stream(seed, "loss"))
    const metrics = yield* train({
      parameters: model.parameters,
      learningRates: learningRates(options.schedule, options.lr, steps, stepsIn(options.warmupRatio, steps)),
      optimiser: options.optimiser,
      clip: options.clip,
      loss: (update, parameters) =>
        loss({ ...model, parameters }, batchOf(update), { ...dropout, iteration: update }, (name) =>
          parameters.get(ownName(name)),
        ),
      scratch,
      at: Effect.fnUntraced(function* (step, last) {
        const due = step > 0 && (step % options.evalEvery === 0 || step === steps)
        if (dev === undefined || !due || chosen.knows(step)) return
        yield* last
        const score = yield* similarityScore(dev, (sequences) => sentenceEmbeddings(model, sequences))
        yield* chosen.record(step, score, save)
      }),
    })
    if (keepsLast) yield* writeFolder(last, save)
    return metrics
  })
  const metrics = yield* Effect.acquireUseRelease(
    loadModel(checkpoint.folder, { outputHeads: { pooler: { draw: stream(seed, "head") } } }),
    training,
    ({ parameters }) => Effect.sync(() => parameters.dispose()),
  )

  const exported = keepsLast ? { step: steps, model: last } : chosen.best()
  if (exported === undefined) {
    return yield* new UnitFailure({
      outcome: "failed",
      reason: `the score on dev was undefined at every evaluation (${chosen.evaluations().length} in all): all pairs have the same cosine`,
    })
  }
  return {
    write: Effect.fnUntraced(function* (folder: string) {
      yield* linkFolder(exported.model, folder)
      yield* transferExisting(link, checkpoint.folder, tokenizerFiles, folder)
      yield* writeRecord(folder, {
        method,
        options,
        sentences: count,
        ...record,
        metrics,
        ...(dev === undefined ? {} : { evaluations: chosen.evaluations() }),
        exportedStep: exported.step,
      })
    }),
  } satisfies CheckpointGiven
})

/** What is known of a contrastive training before it starts. */
export interface ContrastiveEstimate {
  readonly options: ContrastiveOptions
  readonly checkpoint: CheckpointEstimate
  readonly dev: SimilarityEstimate | undefined
  /** The number of items, and of sequences of each in an update. */
  readonly items: number
  readonly sequencesPerItem: number
  /** Of a sequence, before it is truncated. */
  readonly tokens: number
  /** Tokens of all that is trained on, kept in memory. */
  readonly keptTokens: number
  readonly shapes: (hidden: number) => OwnShapes
}

/**
 * What is known of the model that a contrastive training gives.
 *
 * @param items the number of items
 * @param sentencesPerItem different sentences of an item
 * @param pairs whether its sequences are pairs of sentences; undefined if that is not known
 */
export const contrastiveEstimate = (
  options: ContrastiveOptions,
  checkpoint: CheckpointEstimate,
  dev: SimilarityEstimate | undefined,
  items: number,
  sentencesPerItem: number,
  pairs: boolean | undefined,
): CheckpointEstimate => {
  const steps = stepsOf(options, items, options.batchSize)
  const best = dev !== undefined && options.selection === "best"
  return {
    ...checkpoint,
    traits: {
      ...traitsAfter(checkpoint.traits, { dropout: options.dropout, pairs, pooler: undefined }),
      pooler: poolers.contrastive,
    },
    training: {
      updates: best ? `at most ${steps}, the best on a dev set` : `${steps}`,
      sentences: `${best ? "at most " : ""}${steps * options.batchSize * sentencesPerItem}`,
    },
  }
}

export const contrastiveCost = ({
  options,
  checkpoint,
  dev,
  items,
  sequencesPerItem,
  tokens,
  keptTokens,
  shapes,
}: ContrastiveEstimate): Cost => {
  const steps = stepsOf(options, items, options.batchSize)
  const evaluations = Math.ceil(steps / options.evalEvery)
  const pairs = dev?.pairs ?? 0
  return trainingCost({
    model: checkpoint,
    outputHeads: ["pooler"],
    more: Object.values(shapes(checkpoint.hidden)),
    steps,
    update: workloadOf(sequencesPerItem * options.batchSize, Math.min(tokens, options.maxLength)),
    evaluation: {
      workload: workloadOf(2 * pairs * evaluations, dev?.tokensPerSentence ?? 0),
      passes: 2 * Math.ceil(pairs / pairsAtOnce) * evaluations,
    },
    corpusTokens: keptTokens,
    kept: dev === undefined ? 1 : 2,
  })
}
