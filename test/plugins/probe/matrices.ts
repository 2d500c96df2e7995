/** A square matrix, row-major, from its entries. */
export const matrixOf = (n: number, entry: (i: number, j: number) => number): Float64Array =>
  Float64Array.from({ length: n * n }, (_, at) => entry(Math.floor(at / n), at % n))

/** The Gram matrix of unit vectors with pairwise cosine ρ. */
export const equalCorrelation = (n: number, rho: number): Float64Array =>
  matrixOf(n, (i, j) => (i === j ? 1 : rho))
