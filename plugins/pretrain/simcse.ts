/**
 * Unsupervised SimCSE (Gao, Yao and Chen 2021): further training of an encoder, which learns to match two views of a
 * sentence, made by different dropout, among all sentences of a batch. The defaults are those of the authors' code for
 * BERT-large.
 */
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { UnitFailure } from "../../core/api/failure.ts"
import { optional, plugin, type RunContext } from "../../core/api/plugin.ts"
import { Checkpoint } from "../../core/artifacts/checkpoint.ts"
import { Corpus } from "../../core/artifacts/corpus.ts"
import { countOf } from "../../core/artifacts/sequences.ts"
import { Similarity } from "../../core/artifacts/similarity.ts"
import { decode } from "../../core/io/decode.ts"
import { writeFolder } from "../../core/io/files.ts"
import { link, linkFolder, transferExisting } from "../../core/io/link.ts"
import { shuffledBatches } from "../../core/tensor/epochs.ts"
import { linearSchedule } from "../../core/tensor/schedule.ts"
import { stream } from "../../core/tensor/stream.ts"
import { train } from "../../core/tensor/training.ts"
import type { TrainableModel } from "../model/bert.ts"
import { type Limits, limitsOfCheckpoint, sequenceProblems } from "../model/compatibility.ts"
import { BertConfig } from "../model/config.ts"
import { workloadOf } from "../model/cost.ts"
import { loadModel } from "../model/hugging-face.ts"
import { tokenizerFiles } from "../model/tokenizer.ts"
import { trainingCost } from "./shared/cost.ts"
import { durationOptions, givenOnce, stepsOf } from "./shared/duration.ts"
import { saveExport, writeRecord } from "./shared/export.ts"
import { batchProblems, refuse } from "./shared/requirements.ts"
import { contrastiveLoss, sentenceEmbeddings } from "./simcse/contrastive.ts"
import { selection } from "./simcse/selection.ts"
import { similarityScore } from "./simcse/sentence-similarity.ts"
import { truncate } from "./simcse/truncation.ts"

const Options = type({
  "+": "reject",
  ...durationOptions,
  /** Sentences per update; each is contrasted with the others, so a batch of one would teach nothing. */
  batchSize: "2 <= number.integer <= 65536 = 64",
  /** Maximum tokens per sentence, special tokens included; longer sentences are truncated. */
  maxLength: "3 <= number.integer <= 65536 = 32",
  /** The learning rate of the first update; it falls linearly to 0. */
  lr: "0 < number < 1 = 0.00001",
  /** The temperature of InfoNCE. */
  temperature: "0 < number <= 100 = 0.05",
  /** The dropout rate of hidden states and of attention probabilities; it makes two views of a sentence differ. */
  dropout: "0 <= number < 1 = 0.1",
  /** Gradients whose norm exceeds this are scaled down to it. */
  clip: "number > 0 = 1",
  /** Updates between two evaluations on the dev set. */
  evalEvery: "number.integer >= 1 = 125",
  /** Drives the order of the sentences, dropout, and the head. */
  seed: "0 <= number.integer <= 4294967295 = 42",
}).narrow(givenOnce)
type Options = typeof Options.infer

const takes = { corpus: Corpus, checkpoint: Checkpoint, dev: optional(Similarity) }

const run = Effect.fn("simcse")(function* ({
  options,
  inputs: { corpus, checkpoint, dev },
  scratch,
}: RunContext<Options, typeof takes, unknown>) {
  const config = yield* decode(join(checkpoint.folder, "config.json"), BertConfig)(checkpoint.config)
  const sentences = truncate(corpus.sequences, options.maxLength)
  const count = countOf(sentences)
  const limits = limitsOfCheckpoint(checkpoint, config)
  yield* refuse("simcse", [
    ...batchProblems(sentences, count, options.batchSize),
    ...sequenceProblems("corpus", sentences, corpus.vocabularySize, limits),
    ...(dev === undefined ? [] : similarityProblems(dev, limits)),
  ])

  const steps = stepsOf(options, count, options.batchSize)
  const batchOf = shuffledBatches(stream(options.seed, "order"), count, options.batchSize)
  const dropout = { rate: options.dropout, stream: stream(options.seed, "dropout") }
  const chosen = yield* selection(join(scratch, "selection"))
  const last = join(scratch, "last")

  const training = Effect.fnUntraced(function* (model: TrainableModel) {
    const save = (folder: string) => saveExport(folder, model, ["pooler"])
    const metrics = yield* train({
      parameters: model.parameters,
      learningRates: linearSchedule(options.lr, steps, 0),
      optimiser: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, biasCorrection: true },
      clip: options.clip,
      loss: (update) =>
        contrastiveLoss(
          model,
          sentences,
          batchOf(update),
          { ...dropout, iteration: update },
          options.temperature,
        ),
      scratch,
      at: Effect.fnUntraced(function* (step: number) {
        const due = step > 0 && (step % options.evalEvery === 0 || step === steps)
        if (dev === undefined || !due || chosen.knows(step)) return
        const score = yield* similarityScore(dev, (sequences) => sentenceEmbeddings(model, sequences))
        yield* chosen.record(step, score, save)
      }),
    })
    if (dev === undefined) yield* writeFolder(last, save)
    return metrics
  })
  const metrics = yield* Effect.acquireUseRelease(
    loadModel(checkpoint.folder, { outputHeads: { pooler: { draw: stream(options.seed, "head") } } }),
    training,
    ({ parameters }) => Effect.sync(() => parameters.dispose()),
  )

  const exported = dev === undefined ? { step: steps, model: last } : chosen.best()
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
        method: "simcse",
        options,
        sentences: count,
        metrics,
        ...(dev === undefined ? {} : { evaluations: chosen.evaluations() }),
        exportedStep: exported.step,
      })
    }),
  }
})

/**
 * With a dev set, the model is evaluated after every `evalEvery` updates and at the end, and the one with the best
 * score (Spearman's correlation) is exported: the first of them in a tie. Without a dev set, it is the last model.
 *
 * The head, a new dense layer with tanh on [CLS], is exported as the pooler that fine-tuning starts from, as in the
 * authors' conversion script. It is drawn like the pooler of `mlm`: with equal seeds all arms start from the same one.
 */
export const simcse = plugin({
  name: "simcse",
  stage: "pretrain",
  version: 1,
  module: import.meta.url,
  summary: "Unsupervised SimCSE: contrastive further training on sentences",
  options: Options,
  takes,
  gives: Checkpoint,
  usesBackend: true,
  estimate: (options, { corpus, checkpoint, dev }) => {
    const steps = stepsOf(options, corpus.sentences, options.batchSize)
    const sentences = 2 * (dev?.pairs ?? 0) * Math.ceil(steps / options.evalEvery)
    return {
      artifact: checkpoint,
      cost: trainingCost({
        model: checkpoint,
        outputHeads: ["pooler"],
        steps,
        update: workloadOf(2 * options.batchSize, Math.min(corpus.tokensPerSentence, options.maxLength)),
        evaluation: workloadOf(sentences, dev?.tokensPerSentence ?? 0),
        corpusTokens: corpus.sentences * corpus.tokensPerSentence,
        kept: dev === undefined ? 1 : 2,
      }),
    }
  },
  run,
})

/** Why a similarity dev set does not fit the model, or cannot rank models. */
const similarityProblems = ({ sets, vocabularySize }: Similarity, limits: Limits): readonly string[] => {
  const problems = sets.flatMap(({ name, first, second }) =>
    [first, second].flatMap((side) => sequenceProblems(`dev (${name})`, side, vocabularySize, limits)),
  )
  const distinct = new Set(sets.flatMap(({ scores }) => Array.from(scores)))
  return distinct.size > 1
    ? problems
    : [...problems, "all scores in dev are equal; expected at least two different ones, to rank models by"]
}
