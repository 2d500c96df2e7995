/**
 * The augmentations of ConSERT (Yan et al. 2021, section 3.3, and their code), of what enters the first layer of the
 * encoder. Nothing is rescaled. Shapes: T tokens of all sequences together, H hidden width.
 */
import type { Sequences } from "../../../core/artifacts/sequences.ts"
import { type Draw, uniform } from "../../../core/tensor/stream.ts"

export const augmentations = ["none", "shuffle", "token-cutoff", "feature-cutoff", "dropout"] as const
export type Augmentation = (typeof augmentations)[number]

/** Fractions of what is cut off. */
export interface Rates {
  readonly tokenCutoff: number
  readonly featureCutoff: number
  readonly embeddingDropout: number
}

/** The numbers from 0 to `count` − 1 in a random order. */
const shuffled = (count: number, draw: Draw): Int32Array => {
  const keys = uniform(draw, count)
  return Int32Array.from({ length: count }, (_, i) => i).sort((i, j) => keys[i]! - keys[j]! || i - j)
}

/**
 * The places in its sequence whose position embeddings the tokens of a sequence get: with `shuffle` in a random order,
 * [CLS] and [SEP] included.
 *
 * @param draw of this sequence and update alone
 */
export const placesIn = (length: number, augmentation: Augmentation, draw: Draw): Int32Array =>
  augmentation === "shuffle" ? shuffled(length, draw) : Int32Array.from({ length }, (_, t) => t)

/**
 * Sets to 0 what is cut off of a sequence: ⌊rate · T⌋ whole tokens, ⌊rate · H⌋ features in all its tokens, or each number with
 * a probability (`dropout`).
 *
 * @param mask_TH the rows of this sequence, filled with ones, [T · H]
 * @param draw of this sequence and update alone
 */
export const cutOff = (
  mask_TH: Float32Array,
  hidden: number,
  augmentation: Augmentation,
  rates: Rates,
  draw: Draw,
): void => {
  const length = mask_TH.length / hidden
  if (augmentation === "token-cutoff") {
    const cut = shuffled(length, draw).subarray(0, Math.floor(rates.tokenCutoff * length))
    for (const token of cut) mask_TH.fill(0, token * hidden, (token + 1) * hidden)
  } else if (augmentation === "feature-cutoff") {
    const cut = shuffled(hidden, draw).subarray(0, Math.floor(rates.featureCutoff * hidden))
    for (let token = 0; token < length; token++) {
      for (const feature of cut) mask_TH[token * hidden + feature] = 0
    }
  } else if (augmentation === "dropout") {
    for (const [index, value] of uniform(draw, mask_TH.length).entries()) {
      if (value < rates.embeddingDropout) mask_TH[index] = 0
    }
  }
}

/** What is done to each sequence of a batch: the places of its tokens, [ΣT], and what its embeddings are multiplied by, [ΣT · H]. */
export const augment = (
  { offsets }: Sequences,
  hidden: number,
  augmentationOf: (sequence: number) => Augmentation,
  rates: Rates,
  draw: Omit<Draw, "site">,
): { readonly places_T: Int32Array; readonly mask_TH: Float32Array } => {
  const tokens = offsets.at(-1)!
  const places_T = new Int32Array(tokens)
  const mask_TH = new Float32Array(tokens * hidden).fill(1)
  for (let n = 0; n + 1 < offsets.length; n++) {
    const [start, end] = [offsets[n]!, offsets[n + 1]!]
    const own = { ...draw, site: n }
    places_T.set(placesIn(end - start, augmentationOf(n), own), start)
    cutOff(mask_TH.subarray(start * hidden, end * hidden), hidden, augmentationOf(n), rates, own)
  }
  return { places_T, mask_TH }
}
