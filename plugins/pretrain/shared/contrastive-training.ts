/** Further training of an encoder on two views of each sentence, from a loss: everything else is the same for all. */
import { join } from "node:path"
import type * as tf from "@tensorflow/tfjs-core"
import type { type } from "arktype"
import { Effect } from "effect"
import { UnitFailure } from "../../../core/api/failure.ts"
import { type Identity, optional, type Plugin, plugin, type RunContext } from "../../../core/api/plugin.ts"
import { Checkpoint } from "../../../core/artifacts/checkpoint.ts"
import { Corpus } from "../../../core/artifacts/corpus.ts"
import { countOf } from "../../../core/artifacts/sequences.ts"
import { Similarity } from "../../../core/artifacts/similarity.ts"
import { decode } from "../../../core/io/decode.ts"
import { writeFolder } from "../../../core/io/files.ts"
import { link, linkFolder, transferExisting } from "../../../core/io/link.ts"
import { shuffledBatches } from "../../../core/tensor/epochs.ts"
import { learningRates, stepsIn } from "../../../core/tensor/schedule.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { train } from "../../../core/tensor/training.ts"
import { type Limits, limitsOfCheckpoint, sequenceProblems } from "../../model/compatibility.ts"
import { EncoderConfig } from "../../model/config.ts"
import { workloadOf } from "../../model/cost.ts"
import type { TrainableModel } from "../../model/encoder.ts"
import { loadModel } from "../../model/hugging-face.ts"
import { tokenizerFiles } from "../../model/tokenizer.ts"
import type { ContrastiveOptions } from "./contrastive/options.ts"
import { selection } from "./contrastive/selection.ts"
import { similarityScore } from "./contrastive/sentence-similarity.ts"
import { truncate } from "./contrastive/truncation.ts"
import { sentenceEmbeddings, twoViews } from "./contrastive/views.ts"
import { trainingCost } from "./cost.ts"
import { givenOnce, stepsOf } from "./duration.ts"
import { saveExport, writeRecord } from "./export.ts"
import { drawInto, type OwnShapes, ownName } from "./own-parameters.ts"
import { batchProblems, refuse } from "./requirements.ts"

/** Two views of each of the N sentences of an update, which differ by dropout. H hidden width. */
export interface Views {
  /** The head's output: tanh of a dense layer on `[CLS]`. */
  readonly first_NH: tf.Tensor2D
  readonly second_NH: tf.Tensor2D
  /** The indices of the sentences in the corpus. */
  readonly indices_N: Int32Array
  /** A parameter of the loss's own, by its name. */
  readonly parameter: <T extends tf.Tensor>(name: string) => T
}

interface OptionsType extends type.Any {
  readonly infer: ContrastiveOptions
}

interface Definition<O extends OptionsType> extends Omit<Identity, "version"> {
  /** Raise it when the same options and inputs give a different checkpoint; 1 by default. */
  readonly version?: number
  /** An arktype of `contrastiveOptions` and the method's own options. */
  readonly options: O
  /** The loss of an update, differentiable by the views. Runs in a tidy. */
  readonly loss: (views: Views, options: O["infer"]) => tf.Scalar
  /** The shapes of the loss's own parameters, such as those of a projector. */
  readonly parameters?: (hidden: number, options: O["infer"]) => OwnShapes
}

const takes = { corpus: Corpus, checkpoint: Checkpoint, dev: optional(Similarity) }

/** A plugin that trains on two views, with the loss that it was made from. */
export type ContrastiveTraining<O extends OptionsType> = Plugin<
  O,
  typeof takes,
  typeof Checkpoint,
  unknown
> & { readonly contrast: Pick<Definition<O>, "loss" | "parameters"> }

/**
 * A plugin that trains an encoder on two views of each sentence, made by different dropout (Gao, Yao and Chen 2021).
 * The defaults are those of SimCSE's authors for BERT-large.
 *
 * With a dev set, the model is evaluated after every `evalEvery` updates and at the end, and the one with the best
 * score (Spearman's correlation) is exported: the first of them in a tie. Without a dev set, it is the last model.
 *
 * The head, a new dense layer with tanh on [CLS], is exported as the pooler that fine-tuning starts from, as in SimCSE's
 * conversion script. It is drawn like the pooler of `mlm`: with equal seeds all arms start from the same one.
 *
 * ```ts
 * export const alignment = contrastiveTraining({
 *   name: "alignment", module: import.meta.url, summary: "Pulls two views of a sentence together",
 *   options: type({ "+": "reject", ...contrastiveOptions }),
 *   loss: ({ first_NH, second_NH }) => tf.mean(tf.sum(tf.squaredDifference(first_NH, second_NH), 1)),
 * })
 * ```
 */
export const contrastiveTraining = <O extends OptionsType>({
  name,
  version = 1,
  module,
  summary,
  options,
  loss,
  parameters: shapesOf,
}: Definition<O>): ContrastiveTraining<O> => {
  const run = Effect.fn(name)(function* ({
    options,
    inputs: { corpus, checkpoint, dev },
    scratch,
  }: RunContext<O["infer"], typeof takes, unknown>) {
    const { seed } = options
    const config = yield* decode(join(checkpoint.folder, "config.json"), EncoderConfig)(checkpoint.config)
    const sentences = truncate(corpus.sequences, options.maxLength)
    const count = countOf(sentences)
    const limits = limitsOfCheckpoint(checkpoint, config)
    yield* refuse(name, [
      ...batchProblems(sentences, count, options.batchSize),
      ...sequenceProblems("corpus", sentences, corpus.vocabularySize, limits),
      ...(dev === undefined ? [] : similarityProblems(dev, limits)),
    ])

    const steps = stepsOf(options, count, options.batchSize)
    const batchOf = shuffledBatches(stream(seed, "order"), count, options.batchSize)
    const dropout = { rate: options.dropout, stream: stream(seed, "dropout") }
    const chosen = yield* selection(join(scratch, "selection"))
    const last = join(scratch, "last")

    const training = Effect.fnUntraced(function* (model: TrainableModel) {
      const save = (folder: string) => saveExport(folder, model, ["pooler"])
      if (shapesOf !== undefined) {
        drawInto(model.parameters, shapesOf(model.config.hidden, options), stream(seed, "loss"))
      }
      const metrics = yield* train({
        parameters: model.parameters,
        learningRates: learningRates(
          options.schedule,
          options.lr,
          steps,
          stepsIn(options.warmupRatio, steps),
        ),
        optimiser: options.optimiser,
        clip: options.clip,
        loss: (update, parameters) => {
          const indices_N = batchOf(update)
          const now = { ...dropout, iteration: update }
          const [first_NH, second_NH] = twoViews({ ...model, parameters }, sentences, indices_N, now)
          const parameter = <T extends tf.Tensor>(name: string) => parameters.get<T>(ownName(name))
          return loss({ first_NH, second_NH, indices_N, parameter }, options)
        },
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
      loadModel(checkpoint.folder, { outputHeads: { pooler: { draw: stream(seed, "head") } } }),
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
          method: name,
          options,
          sentences: count,
          metrics,
          ...(dev === undefined ? {} : { evaluations: chosen.evaluations() }),
          exportedStep: exported.step,
        })
      }),
    }
  })

  const made = plugin({
    name,
    stage: "pretrain",
    version,
    module,
    summary,
    options: options.narrow(givenOnce) as unknown as O,
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
          more: Object.values(shapesOf?.(checkpoint.hidden, options) ?? {}),
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
  const contrast = { loss, ...(shapesOf === undefined ? {} : { parameters: shapesOf }) }
  return Object.assign(made, { contrast })
}

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
