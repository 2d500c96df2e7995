/**
 * Sequence lengths of a data set, in tokens of BERT's uncased vocabulary including special tokens: the mean of each
 * tenth of the sequences, shortest first. Measured beforehand, so that costs can be estimated without reading the data.
 */
export type Lengths = readonly number[]

/** The mean length of sequences truncated to `maxLength`. */
export const meanLength = (lengths: Lengths, maxLength: number): number =>
  lengths.reduce((sum, length) => sum + Math.min(length, maxLength), 0) / lengths.length
