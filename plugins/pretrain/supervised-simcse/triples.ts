/** Triples of sentences from labelled pairs: an anchor, one that it entails, and one that it does not. */
import type { Split } from "../../../core/artifacts/examples.ts"
import { countOf, packSequences, type Sequence, type Sequences } from "../../../core/artifacts/sequences.ts"
import type { SpecialTokens } from "../../../core/artifacts/vocabulary.ts"

export interface Triples {
  readonly count: number
  /** The anchors, then their positives, then, if there are any, their hard negatives: 2 · count or 3 · count sequences. */
  readonly sequences: Sequences
  /** How many hard negatives are those of their anchor, and how many of another one; undefined if there are none. */
  readonly hardNegatives: { readonly own: number; readonly others: number } | undefined
}

/** The two sentences of `[CLS] a [SEP] b [SEP]` or `<s> a </s></s> b </s>`, as token ids; undefined if there is one only. */
const sentencesOf = (ids: Int32Array, { cls, separator }: SpecialTokens) => {
  const from = ids[0] === cls ? 1 : 0
  const end = ids.indexOf(separator, from)
  let [start, last] = [end, ids.length]
  while (ids[start] === separator) start++
  while (last > start && ids[last - 1] === separator) last--
  return end > from && last > start
    ? ([ids.subarray(from, end), ids.subarray(start, last)] as const)
    : undefined
}

/**
 * Every pair with the label `positive` gives a triple: its first sentence is the anchor and its second one the positive.
 * The hard negative is the second sentence of a pair with the label `negative` and the same first sentence; several of
 * them are taken in turn. An anchor without one gets the next in the order of the data, of other first sentences. If no pair has
 * the label `negative`, there are no hard negatives.
 *
 * @returns undefined if an example is not a pair of sentences
 */
export const triplesOf = (
  { sequences: { ids, offsets }, labels }: Split,
  special: SpecialTokens,
  positive: number,
  negative: number,
): Triples | undefined => {
  const positives: { readonly anchor: Int32Array; readonly other: Int32Array }[] = []
  const negatives: Int32Array[] = []
  const negativesOf = new Map<string, Int32Array[]>()
  for (const [n, label] of labels.entries()) {
    const pair = sentencesOf(ids.subarray(offsets[n]!, offsets[n + 1]!), special)
    if (pair === undefined) return undefined
    const [anchor, other] = pair
    if (label === positive) positives.push({ anchor, other })
    if (label === negative) {
      negatives.push(other)
      const own = negativesOf.get(anchor.join())
      if (own === undefined) negativesOf.set(anchor.join(), [other])
      else own.push(other)
    }
  }
  const taken = new Map<string, number>()
  let others = 0
  const hard = positives.map(({ anchor }) => {
    const key = anchor.join()
    const own = negativesOf.get(key)
    if (own === undefined) return negatives[others++ % negatives.length]
    const turn = taken.get(key) ?? 0
    taken.set(key, turn + 1)
    return own[turn % own.length]
  })
  const single = (sentence: Int32Array): Sequence => ({
    ids: [special.cls, ...sentence, special.separator],
    tokenTypeIds: new Int32Array(sentence.length + 2),
  })
  const sentences = [
    ...positives.map(({ anchor }) => anchor),
    ...positives.map(({ other }) => other),
    ...hard.filter((sentence) => sentence !== undefined),
  ]
  return {
    count: positives.length,
    sequences: packSequences(sentences.map(single)),
    hardNegatives: negatives.length === 0 ? undefined : { own: positives.length - others, others },
  }
}

/** The sequences of the chosen triples, anchors first: 2 or 3 times as many as there are indices. */
export const rowsOf = ({ count, sequences }: Triples, chosen_N: Int32Array): Int32Array => {
  const roles = countOf(sequences) / count
  return Int32Array.from({ length: roles * chosen_N.length }, (_, i) => {
    const role = Math.floor(i / chosen_N.length)
    return role * count + chosen_N[i % chosen_N.length]!
  })
}
