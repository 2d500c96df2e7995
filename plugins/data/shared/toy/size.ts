import { cost } from "../../../../core/api/cost.ts"

/** Mean tokens of a sentence and of a pair, with [CLS] and [SEP]; measured. */
export const sentenceLength = 8.2
export const pairLength = 14.9

/** No pair of sentences has more tokens. */
export const longest = 64

/** Bytes of sequences on disk: two int32 per token, and an offset per sequence. */
export const diskOf = (sequences: number, length: number) => sequences * (8 * length + 4)

export const costOf = (disk: number) => cost({ memory: 2.5e8 + 10 * disk, disk })
