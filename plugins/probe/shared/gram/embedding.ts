import { mirror } from "./gram.ts"

/**
 * The Gram matrix of the per-sample gradients of an embedding table, in float64. In a sample's gradient, the row of an
 * id is the sum of the output gradients of the sample's tokens with that id. The rows of all other ids are zero, so the
 * size of the table does not matter.
 *
 * @param outputGradient_TH row-major, a row for each of `ids_T`
 * @param offsets [N + 1], sample n has the tokens offsets[n] … offsets[n + 1] − 1
 */
export const embeddingGram = (
  ids_T: Int32Array,
  outputGradient_TH: Float32Array,
  offsets: Int32Array,
): Float64Array => {
  const n = offsets.length - 1
  const width = outputGradient_TH.length / ids_T.length
  const gram = new Float64Array(n * n)
  for (const rows of rowsById(ids_T, outputGradient_TH, offsets, width)) {
    for (const [at, [i, left]] of rows.entries()) {
      for (const [j, right] of rows.slice(at)) {
        let sum = 0
        for (let k = 0; k < width; k++) sum += left[k]! * right[k]!
        gram[i * n + j] = gram[i * n + j]! + sum
      }
    }
  }
  return mirror(gram)
}

/** For each id in turn, the rows of the samples that have it, in the order of the samples. */
function* rowsById(
  ids_T: Int32Array,
  outputGradient_TH: Float32Array,
  offsets: Int32Array,
  width: number,
): Generator<readonly (readonly [sample: number, row: Float64Array])[]> {
  const tokensOf = Map.groupBy(ids_T.keys(), (token) => ids_T[token]!)
  const sampleOf = new Int32Array(ids_T.length)
  for (let i = 0; i + 1 < offsets.length; i++) sampleOf.fill(i, offsets[i], offsets[i + 1])
  for (const tokens of tokensOf.values()) {
    const rows = new Map<number, Float64Array>()
    for (const token of tokens) {
      const sample = sampleOf[token]!
      const row = rows.get(sample) ?? new Float64Array(width)
      rows.set(sample, row)
      for (let k = 0; k < width; k++) row[k] = row[k]! + outputGradient_TH[token * width + k]!
    }
    // Tokens are in order, and so are their samples.
    yield [...rows]
  }
}
