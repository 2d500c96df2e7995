import { describe, expect, test } from "bun:test"
import { packSequences } from "../../../../core/artifacts/sequences.ts"
import { maskable, masker } from "../../../../plugins/pretrain/mlm/masking.ts"

const special = { pad: 0, unknown: 1, cls: 2, separator: 3, mask: 4 }
const specialIds = new Set(Object.values(special))
const vocabularySize = 30

/** A sentence of `n` ordinary tokens between the special ones. */
const sentence = (n: number, seed = 0) => {
  const ids = [2, ...Array.from({ length: n }, (_, i) => 5 + ((i * 7 + seed) % 25)), 3]
  return { ids, tokenTypeIds: ids.map(() => 0) }
}
const countOfEpochs = (batch: ReturnType<typeof packSequences>, epochs: number, seed = 1) => {
  const mask = masker(special, vocabularySize, seed)
  const sentences = Array.from({ length: batch.offsets.length - 1 }, (_, i) => i)
  return Array.from({ length: epochs }, (_, epoch) => mask(batch, sentences, epoch))
}
/** Expects `share` of `n` trials, within five standard deviations. */
const expectShare = (count: number, n: number, share: number) =>
  expect(Math.abs(count - n * share)).toBeLessThan(5 * Math.sqrt(n * share * (1 - share)))

describe("masker", () => {
  test("chooses 15 % of the ordinary tokens on average, all equally often, and at most 15 % rounded up", () => {
    const n = 33 // 15 % are 4.95.
    const epochs = 4000
    const hits = new Int32Array(n + 2)
    let total = 0
    for (const { indices } of countOfEpochs(packSequences([sentence(n)]), epochs)) {
      expect(indices.length === 4 || indices.length === 5).toBe(true)
      expect(new Set(indices).size).toBe(indices.length)
      for (const index of indices) hits[index] = hits[index]! + 1
      total += indices.length
    }
    expect(hits[0]! + hits[n + 1]!).toBe(0)
    expectShare(total - 4 * epochs, epochs, 0.95)
    for (const hit of hits.subarray(1, n + 1)) expectShare(hit, epochs, 0.15)
  })

  test("80 % become the mask token, 10 % an ordinary token, 10 % stay", () => {
    const batch = packSequences([sentence(100), sentence(60, 3)])
    let chosen = 0
    let masked = 0
    let unchanged = 0
    const replacements = new Map<number, number>()
    for (const { sequences, indices, labels } of countOfEpochs(batch, 1500)) {
      const touched = new Set(indices)
      batch.ids.forEach((id, t) => {
        if (!touched.has(t)) expect(sequences.ids[t]).toBe(id)
      })
      indices.forEach((t, i) => {
        const now = sequences.ids[t]!
        expect(labels[i]).toBe(batch.ids[t]!)
        chosen++
        if (now === special.mask) masked++
        else if (now === batch.ids[t]) unchanged++
        else {
          expect(specialIds.has(now)).toBe(false)
          replacements.set(now, (replacements.get(now) ?? 0) + 1)
        }
      })
    }
    const replaced = [...replacements.values()].reduce((a, b) => a + b, 0)
    // One random replacement in 25 is the original token.
    expectShare(masked, chosen, 0.8)
    expectShare(replaced, chosen, 0.1 * (24 / 25))
    expectShare(unchanged, chosen, 0.1 + 0.1 / 25)
    expect(replacements.size).toBe(25)
    for (const count of replacements.values()) expectShare(count, replaced, 1 / 25)
  })

  test("predicts at least one token, and never a special one", () => {
    const batch = packSequences([
      sentence(1),
      { ids: [2, 1, 5, 0, 4, 3], tokenTypeIds: [0, 0, 0, 0, 0, 0] },
      { ids: [2, 1, 3], tokenTypeIds: [0, 0, 0] },
    ])
    for (const { sequences, indices, labels } of countOfEpochs(batch, 50)) {
      expect([...indices]).toEqual([1, 5])
      expect([...labels]).toEqual([5, 5])
      expect([...sequences.ids.subarray(9)]).toEqual([2, 1, 3])
    }
    expect([...maskable(batch, special)]).toEqual([0, 1])
  })

  test("depends on seed, epoch and sentence, not on the batch", () => {
    const mask = masker(special, vocabularySize, 5)
    const one = sentence(40)
    const together = mask(packSequences([sentence(9), one]), [3, 8], 2)
    const alone = mask(packSequences([one]), [8], 2)
    expect([...together.sequences.ids.subarray(11)]).toEqual([...alone.sequences.ids])
    const ids = (seed: number, number: number, epoch: number) =>
      masker(special, vocabularySize, seed)(packSequences([one]), [number], epoch).sequences.ids.join()
    expect(new Set([ids(5, 8, 2), ids(6, 8, 2), ids(5, 9, 2), ids(5, 8, 3)]).size).toBe(4)
  })
})
