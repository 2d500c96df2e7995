import type { Sequences } from "../../../../core/artifacts/sequences.ts"

/** Truncates sequences to `maxLength` tokens: longer ones lose their last tokens except the final separator. */
export const truncate = ({ ids, tokenTypeIds, offsets }: Sequences, maxLength: number): Sequences => {
  const kept = new Int32Array(offsets.length)
  for (let n = 1; n < offsets.length; n++) {
    kept[n] = kept[n - 1]! + Math.min(maxLength, offsets[n]! - offsets[n - 1]!)
  }
  const cut = (values: Int32Array) => {
    const out = new Int32Array(kept.at(-1)!)
    for (let n = 1; n < offsets.length; n++) {
      const [start, end] = [kept[n - 1]!, kept[n]!]
      const from = offsets[n - 1]!
      out.set(values.subarray(from, from + end - start), start)
      if (end > start) out[end - 1] = values[offsets[n]! - 1]!
    }
    return out
  }
  return { ids: cut(ids), tokenTypeIds: cut(tokenTypeIds), offsets: kept }
}
