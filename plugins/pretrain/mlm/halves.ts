/**
 * Next-sentence prediction (Devlin et al. 2019, section 3.1) on a corpus of single sentences: a sentence is split in
 * its middle, and the model tells whether the second half is its own or another sentence's. Pairs of sentences are
 * split between the two.
 */
import { countOf, packSequences, type Sequences } from "../../../core/artifacts/sequences.ts"
import type { SpecialTokens } from "../../../core/artifacts/vocabulary.ts"
import { stream, uniform } from "../../../core/tensor/stream.ts"

/** Pairs of halves, `[CLS] first [SEP] second [SEP]` with the token types 0 and 1. */
export interface Halves {
  readonly sequences: Sequences
  /** [N], 0 where the second half continues the first and 1 where it is another sentence's, as in BERT */
  readonly labels: Int32Array
}

/** Halves of a sentence have one token more than the sentence: the separator between them. */
export const moreTokens = 1

/** The words of a sequence's two halves. */
const halvesOf = ({ ids, tokenTypeIds, offsets }: Sequences, n: number) => {
  const [start, end] = [offsets[n]! + 1, offsets[n + 1]! - 1]
  const second = tokenTypeIds.subarray(start, end).indexOf(1)
  if (second > 0)
    return { first: ids.subarray(start, start + second - 1), second: ids.subarray(start + second, end) }
  const middle = start + ((end - start) >> 1)
  return { first: ids.subarray(start, middle), second: ids.subarray(middle, end) }
}

/** How many tokens a pair of halves may have. */
export const longestPair = (sequences: Sequences): number => {
  let [first, second] = [0, 0]
  for (let n = 0; n < countOf(sequences); n++) {
    const halves = halvesOf(sequences, n)
    first = Math.max(first, halves.first.length)
    second = Math.max(second, halves.second.length)
  }
  return first + second + 3
}

/**
 * Makes batches of halves. Half of the sentences, in expectation, keep their second half; the others get that of
 * another sentence of the batch, drawn uniformly. In a batch of one each keeps its own.
 *
 * The draws depend on the seed, the epoch and the index of the sentence in its corpus.
 *
 * @param sequences of a batch, each `[CLS] … [SEP]` or `[CLS] … [SEP] … [SEP]`
 * @param sentences the index in the corpus of each sequence of the batch
 */
export const halver = (special: SpecialTokens, seed: number) => {
  const draws = stream(seed, "next-sentence")
  return (sequences: Sequences, sentences: ArrayLike<number>, epoch: number): Halves => {
    const count = countOf(sequences)
    const halves = Array.from({ length: count }, (_, n) => halvesOf(sequences, n))
    const labels = new Int32Array(count)
    const pairs = halves.map(({ first }, n) => {
      const [swap, other] = uniform({ stream: draws, site: sentences[n]!, iteration: epoch }, 2)
      labels[n] = count > 1 && swap! < 0.5 ? 1 : 0
      const from = labels[n] === 0 ? n : (n + 1 + Math.floor(other! * (count - 1))) % count
      const { second } = halves[from]!
      return {
        ids: [special.cls, ...first, special.separator, ...second, special.separator],
        tokenTypeIds: [
          ...new Array<number>(first.length + 2).fill(0),
          ...new Array<number>(second.length + 1).fill(1),
        ],
      }
    })
    return { sequences: packSequences(pairs), labels }
  }
}
