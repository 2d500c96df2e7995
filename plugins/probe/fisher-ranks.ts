import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { stream } from "../../core/tensor/stream.ts"
import { fisher } from "./fisher.ts"
import { problemsOf, RankRow, ranksOf } from "./fisher-ranks/ranks.ts"
import { tensorGroups } from "./shared/tensors.ts"

const Options = type({
  "+": "reject",
  /** Thresholds of the effective rank. */
  thresholds: type("0 < number < 1")
    .array()
    .atLeastLength(1)
    .default(() => [0.99]),
  /** Numbers of samples, at most those observed; by default all of them. */
  "samples?": type("number.integer >= 1").array().atLeastLength(1),
  /** How many random subsets the ranks of fewer samples are averaged over. */
  subsets: "1 <= number.integer <= 1000 = 16",
  /** Which tensors of each layer; any but `all` needs Gram matrices by tensor, `fisher({ grams: "tensors" })`. */
  tensors: type
    .enumerated(...tensorGroups)
    .array()
    .atLeastLength(1)
    .default(() => ["all"]),
  /** Of the stream `subsets`, from which subsets are drawn: the same ones in every run and at every step. */
  seed: "0 <= number.integer < 4294967296 = 0",
})
type Options = typeof Options.infer

const takes = { grams: fisher.gives }
const gives = observationsOf<RankRow>(RankRow)

/** Bytes of a row on disk. */
const rowBytes = 150

/** Of a fisher with default options that observed layers: its blocks are the layers and the encoder. */
const estimateOf = (options: Options, observed: number) => {
  const cells = options.thresholds.length * options.tensors.length * (options.samples?.length ?? 1)
  // Two blocks more than were observed: the mean over the layers and the block-diagonal matrix.
  return { rows: (observed + 2) * cells, spectra: observed * cells * options.subsets }
}

/**
 * Effective ranks of Fishers that were observed with their Gram matrices: at other thresholds, of fewer samples, of some
 * of the tensors, of all blocks together. Nothing is trained or differentiated anew.
 *
 * The Gram matrix of fewer samples is a principal submatrix, and that of some tensors a sum of theirs.
 */
export const fisherRanks = plugin({
  name: "fisher-ranks",
  stage: "probe",
  version: 1,
  module: import.meta.url,
  summary:
    "Effective ranks at any threshold, of fewer samples and of some tensors, from stored Gram matrices",
  options: Options,
  takes,
  gives,
  usesBackend: false,
  estimate: (options, { grams }) => {
    const { rows, spectra } = estimateOf(options, grams.rows)
    return {
      artifact: { rows, columns: gives.columns },
      // The eigenvalues of 32 x 32 matrices.
      cost: cost({ flops: spectra * 1e6, memory: 2e8, disk: rows * rowBytes }),
    }
  },
  run: Effect.fn("fisher-ranks")(function* ({
    options: { seed, ...options },
    inputs,
  }: RunContext<Options, typeof takes, unknown>) {
    const layers = inputs.grams.filter(({ layer }) => layer !== null)
    const problems = problemsOf(layers, options)
    if (problems.length > 0) return yield* new InvalidInput({ what: "fisher-ranks", problems })
    return ranksOf(layers, { ...options, stream: stream(seed, "subsets") })
  }),
})
