const mean = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length

/**
 * The Gram matrix of N vectors less their mean, from that of the vectors themselves: row-major [N, N]. Zero if float32
 * tells the vectors apart by their last bits alone, by about 2⁻²⁰ of their size, which would look like a full rank.
 */
export const centred = (gram: Float64Array, n: number): Float64Array => {
  const rows = Float64Array.from({ length: n }, (_, i) => mean(gram.subarray(i * n, (i + 1) * n)))
  const all = mean(rows)
  const found = gram.map((entry, at) => entry - (rows[Math.floor(at / n)]! + rows[at % n]!) + all)
  return largestOf(found, n) <= 2 ** -40 * largestOf(gram, n) ? new Float64Array(n * n) : found
}

/** The largest squared length. */
const largestOf = (gram: Float64Array, n: number): number => {
  let largest = 0
  for (let i = 0; i < n; i++) largest = Math.max(largest, gram[i * n + i]!)
  return largest
}
