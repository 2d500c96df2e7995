import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Progress } from "../../core/api/progress.ts"
import { Checkpoint } from "../../core/artifacts/checkpoint.ts"
import { Corpus } from "../../core/artifacts/corpus.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import { countOf, selectSequences } from "../../core/artifacts/sequences.ts"
import { Similarity } from "../../core/artifacts/similarity.ts"
import { decode } from "../../core/io/decode.ts"
import { limitsOfCheckpoint, sequenceProblems } from "../model/compatibility.ts"
import { EncoderConfig } from "../model/config.ts"
import { activationBytes, forwardFlops, workloadOf } from "../model/cost.ts"
import type { EncoderModel } from "../model/encoder.ts"
import { loadModel } from "../model/hugging-face.ts"
import { similarityProblems } from "./shared/contrastive/pairs.ts"
import { similarityScore } from "./shared/contrastive/sentence-similarity.ts"
import { truncate } from "./shared/contrastive/truncation.ts"
import { parameterCount } from "./shared/cost.ts"
import { refuse } from "./shared/requirements.ts"
import { embeddingsOf, poolings } from "./whitening/embeddings.ts"
import { Moments, whitening as whiteningOf } from "./whitening/whiten.ts"

const Options = type({
  "+": "reject",
  /** How many sentences of the corpus to fit on, from its start: more than the model has features. */
  sentences: "2 <= number.integer <= 100000000 = 10000",
  /** Maximum tokens per sentence of the corpus, special tokens included; longer sentences are truncated. */
  maxLength: "3 <= number.integer <= 65536 = 32",
  /**
   * The embedding: that of [CLS] in the last layer, as in SimCSE, or the mean over all tokens of the first and the last
   * layer, as in Su et al. 2021.
   */
  pooling: type.enumerated(...poolings).default("cls"),
})
type Options = typeof Options.infer

const Row = type({
  "+": "reject",
  /** Whether the embeddings are as they are or whitened. */
  embeddings: "'plain' | 'whitened'",
  /** Of the embeddings; after whitening, the rank of their covariance. */
  dimensions: "number.integer >= 0",
  pairs: "number.integer >= 1",
  /** Spearman's correlation of cosines and gold scores; null if all cosines or all scores are equal. */
  spearman: "number | null",
})
type Row = typeof Row.infer

const takes = { checkpoint: Checkpoint, corpus: Corpus, similarity: Similarity }
const atOnce = 64

/**
 * Whitening of sentence embeddings (Su et al. 2021; Huang et al. 2021) for sentence similarity alone: it trains nothing
 * and changes no weight, so there is no checkpoint to fine-tune. Gives the scores of a checkpoint on pairs of sentences,
 * once with its embeddings as they are and once with embeddings whitened by their mean and covariance over a corpus.
 */
export const whitening = plugin({
  name: "whitening",
  stage: "pretrain",
  version: 1,
  module: import.meta.url,
  summary: "Scores of a checkpoint on sentence similarity, with its embeddings as they are and whitened",
  options: Options,
  takes,
  gives: observationsOf<Row>(Row),
  usesBackend: true,
  estimate: ({ sentences, maxLength, pooling }, { checkpoint, corpus, similarity }) => {
    const heads = pooling === "cls" ? (["pooler"] as const) : []
    const fitted = Math.min(sentences, corpus.sentences)
    const tokens = Math.min(corpus.tokensPerSentence, maxLength)
    const scored = 2 * 2 * similarity.pairs
    const { hidden } = checkpoint
    const rows = 2
    return {
      artifact: { rows, columns: observationsOf<Row>(Row).columns },
      cost: cost({
        flops:
          forwardFlops(checkpoint, heads, workloadOf(fitted, tokens)) +
          forwardFlops(checkpoint, heads, workloadOf(scored, similarity.tokensPerSentence)) +
          fitted * hidden ** 2 +
          hidden ** 3 / 3 +
          (scored / 2) * hidden ** 2,
        memory:
          2.5e8 +
          Float32Array.BYTES_PER_ELEMENT * parameterCount(checkpoint, []) +
          activationBytes(checkpoint, workloadOf(atOnce, tokens)) / checkpoint.layers +
          2 * Float64Array.BYTES_PER_ELEMENT * hidden ** 2,
        disk: 100 * rows,
      }),
    }
  },
  run: Effect.fn("whitening")(function* ({
    options,
    inputs: { checkpoint, corpus, similarity },
  }: RunContext<Options, typeof takes, unknown>) {
    const config = yield* decode(join(checkpoint.folder, "config.json"), EncoderConfig)(checkpoint.config)
    const limits = limitsOfCheckpoint(checkpoint, config)
    const sentences = truncate(corpus.sequences, options.maxLength)
    const count = Math.min(options.sentences, countOf(sentences))
    yield* refuse("whitening", [
      ...sequenceProblems("corpus", sentences, corpus.vocabularySize, limits),
      ...similarityProblems("similarity", similarity, limits),
      ...(count > config.hidden
        ? []
        : [
            `whitening needs more sentences than the ${config.hidden} features of the model, or the covariance has no inverse (was ${count}); give a longer corpus or a higher limit`,
          ]),
    ])
    const progress = yield* Progress
    const scores = Effect.fnUntraced(function* (model: EncoderModel) {
      const embed = embeddingsOf(model, options.pooling)
      const moments = new Moments(config.hidden)
      for (let start = 0; start < count; start += atOnce) {
        const length = Math.min(atOnce, count - start)
        moments.add(
          embed(
            selectSequences(
              sentences,
              Int32Array.from({ length }, (_, i) => start + i),
            ),
          ),
        )
        yield* progress.report(start + length, count, "sentences")
        yield* Effect.yieldNow
      }
      const { mean, covariance } = moments.result()
      const { dimensions, apply } = whiteningOf(mean, covariance)
      return {
        plain: { dimensions: config.hidden, spearman: yield* similarityScore(similarity, embed) },
        whitened: {
          dimensions,
          spearman: yield* similarityScore(similarity, (sequences) => apply(embed(sequences))),
        },
      }
    })
    const { plain, whitened } = yield* Effect.acquireUseRelease(
      loadModel(checkpoint.folder, { outputHeads: {} }),
      scores,
      ({ parameters }) => Effect.sync(() => parameters.dispose()),
    )
    const pairs = similarity.sets.reduce((sum, { scores }) => sum + scores.length, 0)
    const row = (embeddings: Row["embeddings"], { dimensions, spearman }: typeof plain): Row => ({
      embeddings,
      dimensions,
      pairs,
      spearman: Number.isNaN(spearman) ? null : spearman,
    })
    return [row("plain", plain), row("whitened", whitened)]
  }),
})
