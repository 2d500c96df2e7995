import { packSequences, type Sequences } from "../../core/artifacts/sequences.ts"

/** Cuts sequences to `maxLength` tokens: what is too long loses its end, but for the final separator. */
export const truncate = (sequences: Sequences, maxLength: number): Sequences => {
  const { ids, types, offsets } = sequences
  return packSequences(
    Array.from({ length: offsets.length - 1 }, (_, n) => {
      const start = offsets[n]!
      const end = offsets[n + 1]!
      if (end - start <= maxLength)
        return { ids: ids.subarray(start, end), types: types.subarray(start, end) }
      const cut = (values: Int32Array) => {
        const kept = values.slice(start, start + maxLength)
        kept[maxLength - 1] = values[end - 1]!
        return kept
      }
      return { ids: cut(ids), types: cut(types) }
    }),
  )
}

/** The number of tokens of the longest sequence. */
export const longest = ({ offsets }: Sequences): number => {
  let length = 0
  for (let n = 0; n + 1 < offsets.length; n++) length = Math.max(length, offsets[n + 1]! - offsets[n]!)
  return length
}
