import type { Sequences } from "../../../core/artifacts/sequences.ts"
import type { SpecialTokens } from "../../../core/artifacts/vocabulary.ts"
import { integers, stream, uniform } from "../../../core/tensor/stream.ts"

/** The input of a masked language model, and what it must predict: the original token at each chosen index. */
export interface Masked {
  readonly sequences: Sequences
  /** [M], rows of the packed tokens, ascending */
  readonly indices: Int32Array
  /** [M], the original tokens at `indices` */
  readonly labels: Int32Array
}

/** Fraction of the tokens that are predicted (Devlin et al. 2019, section 3.1). */
export const chosenFraction = 0.15
/** Fractions of these that are replaced by the mask token, and by a random token. */
const maskedFraction = 0.8
const replacedFraction = 0.1

const isSpecial = (special: SpecialTokens): ((id: number) => boolean) => {
  const ids = new Set(Object.values(special))
  return (id) => ids.has(id)
}

/** The indices of the sequences with something to predict: at least one token that is not special. */
export const maskable = ({ ids, offsets }: Sequences, special: SpecialTokens): Int32Array => {
  const skip = isSpecial(special)
  const found: number[] = []
  for (let n = 0; n + 1 < offsets.length; n++) {
    if (ids.subarray(offsets[n]!, offsets[n + 1]!).some((id) => !skip(id))) found.push(n)
  }
  return Int32Array.from(found)
}

/**
 * Masks batches for a masked language model. Of each sequence's n tokens that are not special, 0.15 n are chosen (a
 * remainder is rounded up with its own probability, so that the fraction is exact in expectation), but at least one. Of
 * the chosen tokens 80 % become the mask token, 10 % become a random token that is not special, and 10 % stay.
 *
 * The choice depends on the seed, the epoch and the index of the sentence in its corpus, not on its batch: each epoch
 * has its own masks, and training that was stopped and resumed has the same masks as training without a stop.
 */
export const masker = (special: SpecialTokens, vocabularySize: number, seed: number) => {
  const skip = isSpecial(special)
  const choices = stream(seed, "mask")
  const replacements = stream(seed, "replacement")
  const ordinary = Int32Array.from({ length: vocabularySize }, (_, id) => id).filter((id) => !skip(id))

  /** @param sentences the index in the corpus of each sequence of the batch */
  return (batch: Sequences, sentences: ArrayLike<number>, epoch: number): Masked => {
    const ids = batch.ids.slice()
    const indices: number[] = []
    for (let n = 0; n + 1 < batch.offsets.length; n++) {
      const candidates: number[] = []
      for (let t = batch.offsets[n]!; t < batch.offsets[n + 1]!; t++) {
        if (!skip(ids[t]!)) candidates.push(t)
      }
      if (candidates.length === 0) continue
      const site = sentences[n]!
      const expected = chosenFraction * candidates.length
      // Element 0 rounds the count, the next ones choose the tokens, the rest decide what becomes of them.
      const u = uniform({ stream: choices, site, iteration: epoch }, 1 + 2 * Math.ceil(expected))
      const count = Math.max(1, Math.floor(expected + u[0]!))
      const fates = u.subarray(1 + count)
      const tokens = integers({ stream: replacements, site, iteration: epoch }, count, ordinary.length)
      for (let i = 0; i < count; i++) {
        const other = i + Math.floor(u[1 + i]! * (candidates.length - i))
        const index = candidates[other]!
        candidates[other] = candidates[i]!
        indices.push(index)
        if (fates[i]! < maskedFraction) ids[index] = special.mask
        else if (fates[i]! < maskedFraction + replacedFraction) ids[index] = ordinary[tokens[i]!]!
      }
    }
    const chosen = Int32Array.from(indices).sort()
    return {
      sequences: { ...batch, ids },
      indices: chosen,
      labels: chosen.map((index) => batch.ids[index]!),
    }
  }
}
