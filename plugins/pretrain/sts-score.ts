import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { optional, plugin, type RunContext } from "../../core/api/plugin.ts"
import { Progress } from "../../core/api/progress.ts"
import { Checkpoint } from "../../core/artifacts/checkpoint.ts"
import { Corpus } from "../../core/artifacts/corpus.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import { countOf, type Sequences, selectSequences } from "../../core/artifacts/sequences.ts"
import { Similarity } from "../../core/artifacts/similarity.ts"
import { decode } from "../../core/io/decode.ts"
import { limitsOfCheckpoint, sequenceProblems } from "../model/compatibility.ts"
import { EncoderConfig } from "../model/config.ts"
import { activationBytes, forwardCalls, forwardFlops, workloadOf } from "../model/cost.ts"
import { loadModel } from "../model/hugging-face.ts"
import { similarityProblems } from "./shared/contrastive/pairs.ts"
import { similarityScore } from "./shared/contrastive/sentence-similarity.ts"
import { truncate } from "./shared/contrastive/truncation.ts"
import { parameterCount } from "./shared/cost.ts"
import { refuse } from "./shared/requirements.ts"
import { embeddingsOf, poolings } from "./sts-score/embeddings.ts"
import { Moments, whitening } from "./sts-score/whitening.ts"

const Options = type({
  "+": "reject",
  /**
   * The embedding: that of [CLS] in the last layer, as in SimCSE, or the mean over all tokens of the first and the last
   * layer, as in Su et al. 2021.
   */
  pooling: type.enumerated(...poolings).default("cls"),
  /** How many sentences of the corpus to fit whitening on, from its start: more than the model has features. */
  sentences: "2 <= number.integer <= 100000000 = 10000",
  /** Maximum tokens per sentence of the corpus, special tokens included; longer sentences are truncated. */
  maxLength: "3 <= number.integer <= 65536 = 32",
  /** Into how many parts the pairs are dealt in turn: scores of different parts are of different sentences. */
  folds: "1 <= number.integer <= 1000 = 1",
  /** Which of the parts is scored, from 1. */
  fold: "1 <= number.integer <= 1000 = 1",
}).narrow(
  ({ fold, folds }, context) =>
    fold <= folds ||
    context.reject({
      path: ["fold"],
      expected: `at most ${folds}, the number of folds`,
      actual: String(fold),
    }),
)
type Options = typeof Options.infer

const Row = type({
  "+": "reject",
  /** Of the embeddings: the hidden width or, after whitening, the rank of their covariance. */
  dimensions: "number.integer >= 0",
  pairs: "number.integer >= 1",
  /** Spearman's correlation of cosines and gold scores; null if all cosines or all scores are equal. */
  spearman: "number | null",
})
type Row = typeof Row.infer

const takes = { checkpoint: Checkpoint, similarity: Similarity, corpus: optional(Corpus) }
const atOnce = 64

/**
 * The score of a checkpoint on sentence similarity, by its embeddings as they are or, given a corpus, whitened by mean
 * and covariance over the corpus (Su et al. 2021; Huang et al. 2021). Whitening trains nothing and changes no weight, so
 * it is for similarity alone: there is no checkpoint to fine-tune.
 */
export const stsScore = plugin({
  name: "sts-score",
  stage: "pretrain",
  version: 1,
  module: import.meta.url,
  summary: "The score of a checkpoint on sentence similarity, with its embeddings as they are or whitened",
  options: Options,
  takes,
  gives: observationsOf<Row>(Row),
  usesBackend: true,
  estimate: ({ sentences, maxLength, pooling, folds }, { checkpoint, corpus, similarity }) => {
    const heads = pooling === "cls" ? (["pooler"] as const) : []
    const fitted = Math.min(sentences, corpus?.sentences ?? 0)
    const tokens = Math.min(corpus?.tokensPerSentence ?? 0, maxLength)
    const scored = (2 * similarity.pairs) / folds
    const { hidden } = checkpoint
    const whitening = corpus === undefined ? 0 : fitted * hidden ** 2 + hidden ** 3 / 3 + scored * hidden ** 2
    return {
      artifact: { rows: 1, columns: observationsOf<Row>(Row).columns },
      cost: cost({
        flops:
          forwardFlops(checkpoint, heads, workloadOf(fitted, tokens)) +
          forwardFlops(checkpoint, heads, workloadOf(scored, similarity.tokensPerSentence)) +
          whitening,
        calls: (Math.ceil(fitted / atOnce) + Math.ceil(scored / atOnce)) * forwardCalls(checkpoint),
        memory:
          2.5e8 +
          Float32Array.BYTES_PER_ELEMENT * parameterCount(checkpoint, []) +
          activationBytes(checkpoint, workloadOf(atOnce, Math.max(tokens, similarity.tokensPerSentence))) /
            checkpoint.layers +
          2 * Float64Array.BYTES_PER_ELEMENT * hidden ** 2,
        disk: 100,
      }),
    }
  },
  run: Effect.fn("sts-score")(function* ({
    options,
    inputs: { checkpoint, similarity, corpus },
  }: RunContext<Options, typeof takes, unknown>) {
    const config = yield* decode(join(checkpoint.folder, "config.json"), EncoderConfig)(checkpoint.config)
    const limits = limitsOfCheckpoint(checkpoint, config)
    const part = foldOf(similarity, options)
    const text = corpus && textOf(corpus, options)
    yield* refuse("sts-score", [
      ...similarityProblems("similarity", part, limits),
      ...(text === undefined ? [] : sequenceProblems("corpus", text, corpus!.vocabularySize, limits)),
      ...(text === undefined || countOf(text) > config.hidden
        ? []
        : [
            `whitening needs more sentences than the ${config.hidden} features of the model (was ${countOf(text)}); give a longer corpus or a larger number of sentences`,
          ]),
    ])
    const { dimensions, spearman } = yield* Effect.acquireUseRelease(
      loadModel(checkpoint.folder, { outputHeads: {} }),
      Effect.fnUntraced(function* (model) {
        const embed = embeddingsOf(model, options.pooling)
        if (text === undefined) {
          return { dimensions: config.hidden, spearman: yield* similarityScore(part, embed) }
        }
        const { dimensions, apply } = yield* fitted(text, config.hidden, embed)
        return { dimensions, spearman: yield* similarityScore(part, (sequences) => apply(embed(sequences))) }
      }),
      ({ parameters }) => Effect.sync(() => parameters.dispose()),
    )
    const pairs = part.sets.reduce((sum, { scores }) => sum + scores.length, 0)
    return [{ dimensions, pairs, spearman: Number.isNaN(spearman) ? null : spearman }]
  }),
})

/** The pairs of a part. Sets that have none in it are left out. */
const foldOf = ({ sets, vocabularySize }: Similarity, { fold, folds }: Options): Similarity => {
  let dealt = 0
  const parts = sets.map(({ name, first, second, scores }) => {
    const chosen = [...scores.keys()].filter((n) => (dealt + n) % folds === fold - 1)
    dealt += scores.length
    const pick = (sequences: Sequences) => selectSequences(sequences, chosen)
    return {
      name,
      first: pick(first),
      second: pick(second),
      scores: Float64Array.from(chosen, (n) => scores[n]!),
    }
  })
  return { sets: parts.filter(({ scores }) => scores.length > 0), vocabularySize }
}

/** The sentences that whitening is fitted on. */
const textOf = ({ sequences }: Corpus, { sentences, maxLength }: Options): Sequences => {
  const length = Math.min(sentences, countOf(sequences))
  return truncate(
    selectSequences(
      sequences,
      Int32Array.from({ length }, (_, n) => n),
    ),
    maxLength,
  )
}

const fitted = Effect.fnUntraced(function* (
  text: Sequences,
  hidden: number,
  embed: (sequences: Sequences) => Float32Array,
) {
  const progress = yield* Progress
  const count = countOf(text)
  const moments = new Moments(hidden)
  for (let start = 0; start < count; start += atOnce) {
    const length = Math.min(atOnce, count - start)
    moments.add(
      embed(
        selectSequences(
          text,
          Int32Array.from({ length }, (_, i) => start + i),
        ),
      ),
    )
    yield* progress.report(start + length, count, "sentences")
    yield* Effect.yieldNow
  }
  return whitening(moments.result())
})
