/** Effective ranks from stored Gram matrices. Shapes: N samples, M columns of M / N for each sample. */
import { type } from "arktype"
import { permutation, type Stream } from "../../../core/tensor/stream.ts"
import type { FisherRow } from "../fisher.ts"
import { encoder } from "../shared/gram/block-grams.ts"
import { addTo } from "../shared/gram/gram.ts"
import { effectiveRank } from "../shared/rank.ts"
import { eigenvalues } from "../shared/spectrum.ts"
import { isIn, type TensorGroup } from "../shared/tensors.ts"

export const RankRow = type({
  "+": "reject",
  step: "number.integer >= 0",
  block: "string",
  layer: "number.integer >= 0 | null",
  tensors: "string",
  /** Whose ranks these are, by the labels of the Fisher that was observed: `true`, `sampled` or `expected`. */
  curvature: "'empirical' | 'sampled' | 'true'",
  samples: "number.integer >= 1",
  threshold: "0 < number < 1",
  erank: "number >= 0",
  normalised: "0 <= number <= 1",
})
/**
 * An effective rank of a Fisher at a threshold, from a number of samples and some of the tensors.
 *
 * `block` is a layer (`layer.0`, whose `layer` is 0); `encoder`, the full Fisher of all layers; `layers`, the mean over
 * the layers; or `block-diagonal`, the one matrix whose blocks are the layers', its eigenvalues all of theirs. `erank` is a
 * mean over subsets if there are fewer samples than were observed; `normalised` is that divided by the largest rank that
 * the number of samples allows: N, and N for each layer of the block-diagonal matrix.
 */
export type RankRow = typeof RankRow.infer

const curvatures = { true: "empirical", sampled: "sampled", expected: "true" } as const

export interface Wanted {
  readonly thresholds: readonly number[]
  readonly samples?: readonly number[] | undefined
  readonly subsets: number
  readonly tensors: readonly TensorGroup[]
  readonly stream: Stream
}

/** Why there are no such ranks of these layers, if so. */
export const problemsOf = (
  layers: readonly FisherRow[],
  { samples = [], tensors }: Omit<Wanted, "stream">,
): readonly string[] => {
  const [first] = layers
  if (first === undefined) return ["expected Gram matrices of layers, found none"]
  const beyond = samples.filter((count) => count > first.samples)
  const split = tensors.filter((group) => group !== "all")
  return [
    ...(beyond.length > 0
      ? [`samples: must be at most ${first.samples}, the number observed (was ${beyond.join(", ")})`]
      : []),
    ...(split.length > 0 && layers.some(({ tensorGrams }) => tensorGrams === null)
      ? [`tensors: ${split.join(", ")} need Gram matrices by tensor; give fisher the option grams: "tensors"`]
      : []),
  ]
}

/** The rows for every step, group of tensors, number of samples and threshold, from those of layers. */
export const ranksOf = (layers: readonly FisherRow[], wanted: Wanted): readonly RankRow[] =>
  [...Map.groupBy(layers, ({ step }) => step)].flatMap(([step, ofStep]) =>
    wanted.tensors.flatMap((tensors) => {
      const grams = ofStep.map((row) => gramOfGroup(row, tensors))
      return (wanted.samples ?? [ofStep[0]!.samples]).flatMap((samples) =>
        ranksOfStep(ofStep, grams, samples, wanted).map((row) => ({
          step,
          tensors,
          curvature: curvatures[ofStep[0]!.labels],
          samples,
          ...row,
        })),
      )
    }),
  )

/** [M, M] */
const gramOfGroup = ({ gram, tensors, tensorGrams }: FisherRow, group: TensorGroup): Float64Array => {
  if (group === "all" || tensors === null || tensorGrams === null) return gram
  const sum = new Float64Array(gram.length)
  for (const [at, tensor] of tensors.split(" ").entries()) {
    if (isIn(group, tensor)) addTo(sum, tensorGrams.subarray(at * gram.length, (at + 1) * gram.length))
  }
  return sum
}

type BlockRank = Pick<RankRow, "block" | "layer" | "threshold" | "erank" | "normalised">

const ranksOfStep = (
  layers: readonly FisherRow[],
  grams: readonly Float64Array[],
  samples: number,
  { thresholds, subsets, stream }: Wanted,
): readonly BlockRank[] => {
  const observed = layers[0]!.samples
  const size = Math.sqrt(grams[0]!.length)
  const full = new Float64Array(size * size)
  for (const gram of grams) addTo(full, gram)

  // All samples are one subset, in whatever order.
  const draws = samples === observed ? 1 : subsets
  const spectra = Array.from({ length: draws }, (_, draw) => {
    const chosen = permutation(stream, observed, draw).subarray(0, samples).toSorted()
    const spectrumOf = (gram: Float64Array) => {
      const part = principal(gram, size, columnsOf(chosen, size / observed))
      return eigenvalues(part, Math.sqrt(part.length))
    }
    const ofLayers = grams.map(spectrumOf)
    return { ofLayers, full: spectrumOf(full), union: unionOf(ofLayers) }
  })
  /** The largest rank that this many samples allow. */
  const most = (samples * size) / observed
  return thresholds.flatMap((threshold) => {
    const mean = (rankOf: (spectrum: (typeof spectra)[number]) => number) =>
      spectra.reduce((sum, spectrum) => sum + rankOf(spectrum), 0) / draws
    const ofLayers = layers.map(({ block, layer }, at) => ({
      block,
      layer,
      erank: mean((spectrum) => effectiveRank(spectrum.ofLayers[at]!, threshold)),
      most,
    }))
    return [
      ...ofLayers,
      {
        block: "layers",
        layer: null,
        erank: ofLayers.reduce((sum, { erank }) => sum + erank, 0) / layers.length,
        most,
      },
      { block: encoder, layer: null, erank: mean(({ full }) => effectiveRank(full, threshold)), most },
      {
        block: "block-diagonal",
        layer: null,
        erank: mean(({ union }) => effectiveRank(union, threshold)),
        most: most * layers.length,
      },
    ].map(({ most, ...rank }) => ({ ...rank, threshold, normalised: rank.erank / most }))
  })
}

/** The eigenvalues of the matrix that has these blocks, descending. */
const unionOf = (spectra: readonly Float64Array[]): Float64Array =>
  Float64Array.from(spectra.flatMap((spectrum) => [...spectrum])).sort((a, b) => b - a)

/** The columns of some samples, each of which has `each`. */
const columnsOf = (samples: Int32Array, each: number): readonly number[] =>
  [...samples].flatMap((n) => Array.from({ length: each }, (_, k) => n * each + k))

/** The rows and columns of a square matrix that are chosen. */
const principal = (matrix: Float64Array, size: number, chosen: readonly number[]): Float64Array =>
  Float64Array.from(chosen.flatMap((i) => chosen.map((j) => matrix[i * size + j]!)))
