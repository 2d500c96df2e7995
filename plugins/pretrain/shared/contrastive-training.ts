/** Further training of an encoder on two views of each sentence, from a loss: everything else is the same for all. */
import type * as tf from "@tensorflow/tfjs-core"
import type { type } from "arktype"
import { Effect } from "effect"
import { type Identity, optional, type Plugin, plugin, type RunContext } from "../../../core/api/plugin.ts"
import { Checkpoint } from "../../../core/artifacts/checkpoint.ts"
import { Corpus } from "../../../core/artifacts/corpus.ts"
import { countOf, type Sequences } from "../../../core/artifacts/sequences.ts"
import { Similarity } from "../../../core/artifacts/similarity.ts"
import type { EncoderModel, ModelDropout } from "../../model/encoder.ts"
import type { ContrastiveOptions } from "./contrastive/options.ts"
import { contrastiveCost, contrastiveEstimate, trainContrastively } from "./contrastive/training.ts"
import { truncate } from "./contrastive/truncation.ts"
import { twoViews } from "./contrastive/views.ts"
import { givenOnce } from "./duration.ts"
import type { OwnShapes } from "./own-parameters.ts"

/** Two views of each of the N sentences of an update, which differ by dropout or otherwise. H hidden width. */
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
  /**
   * The two views of the chosen sentences of an update, by default `twoViews`, which differ by dropout. What else is
   * random in them is drawn from streams of the option `seed`, with `dropout.iteration`, the index of the update.
   */
  readonly views?: (
    model: EncoderModel,
    sentences: Sequences,
    chosen_N: Int32Array,
    dropout: ModelDropout,
    options: O["infer"],
  ) => readonly [first_NH: tf.Tensor2D, second_NH: tf.Tensor2D]
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
 * score (Spearman's correlation) is exported, the first of them in a tie; with `selection: "last"`, or without a dev
 * set, it is the last model.
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
  views = twoViews,
  loss,
  parameters,
}: Definition<O>): ContrastiveTraining<O> => {
  const shapesOf = (options: O["infer"]) => (hidden: number) => parameters?.(hidden, options) ?? {}
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
    estimate: (options, { corpus, checkpoint, dev }) => ({
      artifact: contrastiveEstimate(options, checkpoint, dev, corpus.sentences, 1, corpus.pairs),
      cost: contrastiveCost({
        options,
        checkpoint,
        dev,
        items: corpus.sentences,
        sequencesPerItem: 2,
        tokens: corpus.tokensPerSentence,
        keptTokens: corpus.sentences * corpus.tokensPerSentence,
        shapes: shapesOf(options),
      }),
    }),
    run: Effect.fn(name)(function* ({
      options,
      inputs: { corpus, checkpoint, dev },
      scratch,
    }: RunContext<O["infer"], typeof takes, unknown>) {
      const sentences = truncate(corpus.sequences, options.maxLength)
      return yield* trainContrastively({
        method: name,
        options,
        checkpoint,
        dev,
        scratch,
        material: {
          input: "corpus",
          unit: "sentences",
          sequences: sentences,
          vocabularySize: corpus.vocabularySize,
          count: countOf(sentences),
        },
        shapes: shapesOf(options),
        loss: (model, indices_N, dropout, parameter) => {
          const [first_NH, second_NH] = views(model, sentences, indices_N, dropout, options)
          return loss({ first_NH, second_NH, indices_N, parameter }, options)
        },
      })
    }),
  })
  const contrast = { loss, ...(parameters === undefined ? {} : { parameters }) }
  return Object.assign(made, { contrast })
}
