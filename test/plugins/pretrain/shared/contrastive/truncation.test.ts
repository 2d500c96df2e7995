import { expect, test } from "bun:test"
import { packSequences } from "../../../../../core/artifacts/sequences.ts"
import { truncate } from "../../../../../plugins/pretrain/shared/contrastive/truncation.ts"

const sequences = packSequences([
  { ids: [101, 7, 8, 9, 10, 102], tokenTypeIds: [0, 0, 0, 1, 1, 1] },
  { ids: [101, 7, 8, 102], tokenTypeIds: [0, 0, 0, 0] },
  { ids: [101, 102], tokenTypeIds: [0, 0] },
])

test("sequences that are too long lose their last tokens, except the separator", () => {
  const { ids, tokenTypeIds, offsets } = truncate(sequences, 4)
  expect([...offsets]).toEqual([0, 4, 8, 10])
  expect([...ids]).toEqual([101, 7, 8, 102, 101, 7, 8, 102, 101, 102])
  expect([...tokenTypeIds]).toEqual([0, 0, 0, 1, 0, 0, 0, 0, 0, 0])
})

test("sequences that fit stay as they are", () => {
  expect(truncate(sequences, 6)).toEqual(sequences)
})
