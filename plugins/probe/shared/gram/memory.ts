/** How much of a model's tape may exist at once, so that memory does not limit the number of samples. */

interface Sizes {
  readonly hidden: number
  readonly intermediate: number
  readonly heads: number
}

/**
 * The memory that a layer's forward and backward passes hold until the tape is freed, in bytes. For each token a layer
 * saves its input, q, k, v, the context and so on, 11 H numbers, and the feed-forward network's input, output and
 * derivative, 3 F. Gradients, which tfjs keeps to the end, take nearly as much again, and the attention probabilities
 * come on top. Measured: 48 H numbers a token if F = 4 H.
 */
export const layerTapeBytes = ({ hidden, intermediate, heads }: Sizes, lengths: readonly number[]): number =>
  Float32Array.BYTES_PER_ELEMENT *
  lengths.reduce(
    (sum, length) => sum + length * (24 * hidden + 6 * intermediate) + 3 * heads * length ** 2,
    0,
  )

/** Two GiB leave room for a model in training in the four GiB of a wasm heap. */
const tapeBudget = 2 ** 31

/** The number of layers whose tapes together fit into two GiB, but at least one. */
export const layersAtATime = (sizes: Sizes, lengths: readonly number[]): number =>
  Math.max(1, Math.floor(tapeBudget / layerTapeBytes(sizes, lengths)))
