import { describe, expect, test } from "bun:test"
import {
  countOf,
  longest,
  packSequences,
  SequencePacker,
  selectSequences,
} from "../../../core/artifacts/sequences.ts"

/** Sequences of 0, 1, … tokens. */
const items = Array.from({ length: 60 }, (_, n) => ({
  ids: Array.from({ length: n }, (_, i) => 100 * n + i),
  tokenTypeIds: Array.from({ length: n }, (_, i) => (2 * i < n ? 0 : 1)),
}))

const unpacked = ({ ids, tokenTypeIds, offsets }: ReturnType<typeof packSequences>) =>
  Array.from({ length: offsets.length - 1 }, (_, n) => ({
    ids: [...ids.subarray(offsets[n], offsets[n + 1])],
    tokenTypeIds: [...tokenTypeIds.subarray(offsets[n], offsets[n + 1])],
  }))

describe("packed sequences", () => {
  test("have each sequence between its offsets", () => {
    const packed = packSequences(items)
    expect(countOf(packed)).toBe(60)
    expect(packed.ids.length).toBe((59 * 60) / 2)
    expect(unpacked(packed)).toEqual(items)
    expect(longest(packed)).toBe(59)
    expect(longest(packSequences([]))).toBe(0)
  })

  test("are the same when packed one by one, at any time", () => {
    const packer = new SequencePacker()
    expect(packer.packed()).toEqual(packSequences([]))
    for (const [i, item] of items.entries()) {
      packer.add(item)
      if (i === 30) expect(packer.packed()).toEqual(packSequences(items.slice(0, 31)))
    }
    expect([packer.count, packer.tokens]).toEqual([60, (59 * 60) / 2])
    expect(packer.packed()).toEqual(packSequences(items))
  })

  test("can be chosen in any order, also more than once", () => {
    const chosen = [59, 3, 0, 3]
    expect(unpacked(selectSequences(packSequences(items), chosen))).toEqual(chosen.map((i) => items[i]!))
    expect(selectSequences(packSequences(items), [])).toEqual(packSequences([]))
  })
})
