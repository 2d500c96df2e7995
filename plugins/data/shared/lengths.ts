/**
 * How long the sequences of a data set are, in BERT's uncased word pieces with the special tokens: the mean of each
 * tenth of them, shortest first. Known beforehand, so that costs can be estimate without reading the data.
 */
export type Lengths = readonly number[]

/** The mean length when none is longer than `maxLength`. */
export const meanLength = (lengths: Lengths, maxLength: number): number =>
  lengths.reduce((sum, length) => sum + Math.min(length, maxLength), 0) / lengths.length
