/**
 * The cost of the Gram matrix of a linear layer's weight, from pairs of tokens or directly from gradients. It follows
 * from shapes alone: the same shapes always use the same method, so the bits do not depend on the machine.
 */

export type GramMethod = "token" | "direct"

/** A linear layer applied to N samples. */
export interface LinearShape {
  readonly inputs: number
  readonly outputs: number
  /** [N], how many tokens of each sample have a gradient */
  readonly lengths: readonly number[]
}

export interface Work {
  readonly flops: number
  /** Bytes read or written. */
  readonly bytes: number
}

/**
 * The tokens of neighbouring samples that are multiplied together. A product of this size runs at full speed, little of
 * it lies below the diagonal, and the memory, a number for each pair of tokens, stays small.
 */
const tokensPerTile = 256

export interface Tile {
  /** Samples first … end − 1. */
  readonly first: number
  readonly end: number
  readonly tokens: number
}

/** Groups samples into tiles of at most 256 tokens, or of one longer sample. Samples without tokens are included. */
export const tilesOf = (lengths: readonly number[]): readonly Tile[] => {
  const tiles: Tile[] = []
  for (const [sample, length] of lengths.entries()) {
    const last = tiles.at(-1)
    if (last !== undefined && last.tokens + length <= tokensPerTile) {
      tiles[tiles.length - 1] = { ...last, end: sample + 1, tokens: last.tokens + length }
    } else tiles.push({ first: sample, end: sample + 1, tokens: length })
  }
  return tiles
}

/** How many numbers of all samples' gradients exist at once, unless one row of the weight has more. */
const materialised = 2 ** 22

/** How many rows of a weight's gradient exist at once, for all samples. */
export const rowsAtATime = ({ inputs, outputs, lengths }: LinearShape): number =>
  atLeastOne(Math.min(outputs, materialised / (inputs * lengths.length)))

/**
 * How many products of two gradients are summed in float32, unless one row of the weight has more; further sums are in
 * float64. XNNPACK, which multiplies on wasm, adds sequentially: a sum of 8192 squares is off by 3e-6, one of a
 * million by 5e-4.
 */
const summedTogether = 2 ** 13

/** How many rows of a weight's gradient go into one sum in float32. */
export const rowsInASum = ({ inputs }: LinearShape): number => atLeastOne(summedTogether / inputs)

const atLeastOne = (count: number): number => Math.max(1, Math.floor(count))

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)

/**
 * K_ij = Σ_{t,u} (aᵢₜ·aⱼᵤ)(bᵢₜ·bⱼᵤ): for each pair of tokens in the tiles on and above the diagonal, I + O
 * multiply-adds, one multiplication of the two products, and one multiply-add for each sample of the tile to sum it.
 */
export const tokenWork = ({ inputs, outputs, lengths }: LinearShape): Work => {
  const tiles = tilesOf(lengths)
  const tokens = sumOf(lengths)
  let before = 0
  let flops = 0
  let numbers = 2 * tokens * (inputs + outputs)
  for (const tile of tiles) {
    const pairs = tile.tokens * (tokens - before)
    flops += pairs * (2 * (inputs + outputs) + 1 + 2 * (tile.end - tile.first))
    // Both products are written, read, and multiplied into a third, which is written and read. Their factors are copied.
    numbers += 7 * pairs + 2 * (tokens - before) * (inputs + outputs)
    before += tile.tokens
  }
  return { flops, bytes: Float32Array.BYTES_PER_ELEMENT * numbers }
}

/**
 * Gᵢ = Σ_t bᵢₜ aᵢₜᵀ, [O, I], for each sample, and all their products: I · O multiply-adds for each token and for each of
 * the N² pairs of samples. The gradients are written, concatenated, gathered, transposed and read twice.
 */
export const directWork = ({ inputs, outputs, lengths }: LinearShape): Work => {
  const n = lengths.length
  const size = inputs * outputs
  const tokens = sumOf(lengths)
  return {
    flops: 2 * size * (tokens + n * n),
    bytes: Float32Array.BYTES_PER_ELEMENT * (9 * n * size + 2 * tokens * (inputs + outputs)),
  }
}

/**
 * The cost of moving a byte, in flops. On one core, wasm multiplies at 34 GFLOP/s and copies at about 8 GB/s; faster
 * backends are faster at both.
 */
const flopsPerByte = 4

const effort = ({ flops, bytes }: Work): number => flops + flopsPerByte * bytes

/** The cheaper method. Without counting bytes, it is by tokens while (ΣT)² (I + O) < 2 I O (ΣT + N²). */
export const cheaper = (shape: LinearShape): GramMethod =>
  effort(tokenWork(shape)) <= effort(directWork(shape)) ? "token" : "direct"
