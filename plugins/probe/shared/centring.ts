const mean = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** The Gram matrix of N vectors less their mean, from that of the vectors themselves: row-major [N, N]. */
export const centred = (gram: Float64Array, n: number): Float64Array => {
  const rows = Float64Array.from({ length: n }, (_, i) => mean(gram.subarray(i * n, (i + 1) * n)))
  const all = mean(rows)
  return gram.map((entry, at) => entry - (rows[Math.floor(at / n)]! + rows[at % n]!) + all)
}
