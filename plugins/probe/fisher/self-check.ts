import type { EncoderModel } from "../../model/encoder.ts"
import { type Blocks, blockGrams, parameterGrams } from "../shared/gram/block-grams.ts"
import type { Columns } from "../shared/gram/columns.ts"
import { type Classifier, gramsByDefinition } from "./definition.ts"

/**
 * Computes every block's Gram matrix by tokens, directly and by definition (a backward pass for each sample), and
 * compares the first two with the last.
 *
 * @returns by block, the worst deviation of an entry, as a fraction of the matrix's largest entry
 */
export const selfCheck = (
  model: EncoderModel & Classifier,
  blocks: Blocks,
  batch: Columns,
): ReadonlyMap<string, number> => {
  const defined = blockGrams(blocks, gramsByDefinition(model, blocks, batch))
  const batched = (["token", "direct"] as const).map((method) =>
    blockGrams(blocks, parameterGrams(model, blocks, batch, method)),
  )
  return new Map(
    [...defined].map(([block, expected]) => [
      block,
      Math.max(...batched.map((grams) => deviation(grams.get(block)!, expected))),
    ]),
  )
}

/** The largest difference of two entries, as a fraction of the largest expected entry; 0 between equal matrices. */
export const deviation = (found: Float64Array, expected: Float64Array): number => {
  let largest = 0
  let difference = 0
  for (const [i, entry] of expected.entries()) {
    largest = Math.max(largest, Math.abs(entry))
    difference = Math.max(difference, Math.abs(found[i]! - entry))
  }
  return difference === 0 ? 0 : difference / largest
}
