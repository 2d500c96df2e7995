/** How much of a model's tape may be there at a time, so that the number of samples is not bounded by memory. */

interface Sizes {
  readonly hidden: number
  readonly intermediate: number
  readonly heads: number
}

/**
 * What a layer's forward and backward pass leave until the tape is freed. A layer saves for each token its input, q, k,
 * v, the context and the like, 11 H, and the inner network's input, output and derivative, 3 F; nearly as much comes back
 * as gradients, which tfjs keeps to the end; attention's probabilities come on top. Measured: 48 H for each token where F = 4 H.
 */
export const layerTapeBytes = ({ hidden, intermediate, heads }: Sizes, lengths: readonly number[]): number =>
  Float32Array.BYTES_PER_ELEMENT *
  lengths.reduce(
    (sum, length) => sum + length * (24 * hidden + 6 * intermediate) + 3 * heads * length ** 2,
    0,
  )

/** Two GiB leave room for a model in training in the four of a wasm heap. */
const tapeBudget = 2 ** 31

/** The number of layers whose tapes fit into two GiB together, at least one. */
export const layersAtATime = (sizes: Sizes, lengths: readonly number[]): number =>
  Math.max(1, Math.floor(tapeBudget / layerTapeBytes(sizes, lengths)))
