/** The Gram matrices of per-sample gradients from one batched pass, by parameter and by block. */
import type { EncoderModel } from "../../../model/encoder.ts"
import { rowOffsetsOf } from "../../../model/gradients.ts"
import { layerOf } from "../../../model/parameters.ts"
import { backwardInPieces, embeddingsLevel } from "./backward.ts"
import { type Columns, countOf } from "./columns.ts"
import { contribute } from "./contribution.ts"
import { addTo } from "./gram.ts"
import type { GramMethod } from "./gram-method.ts"
import { gramsKernel } from "./grams.ts"
import { layersAtATime } from "./memory.ts"

/** The names of a block's parameters, by block, in the model's order: see `ClassifierView.blocks`. */
export type Blocks = ReadonlyMap<string, readonly string[]>

/**
 * @param blocks the blocks to compute
 * @param method how to compute those of the weights of linear layers
 * @returns [N, N] for N columns, row-major, for every parameter of the blocks
 * @throws Error if no tapped op has a parameter of the blocks, or two tapped ops share one
 */
export const parameterGrams = (
  model: EncoderModel,
  blocks: Blocks,
  batch: Columns,
  method: GramMethod | "cheaper" = "cheaper",
): ReadonlyMap<string, Float64Array> => {
  const { offsets } = batch.sequences
  const wanted = new Set([...blocks.values()].flat())
  const indices = new Map<string, number>()
  const shared: string[] = []
  const columns = countOf(batch)
  const lengths = Array.from({ length: columns }, (_, n) => offsets[n + 1]! - offsets[n]!)
  const extent = {
    lowest: lowestOf(model, blocks),
    levelsAtATime: layersAtATime(model.config, lengths),
  }
  const indexOf = (parameter: string): number => {
    const given = indices.get(parameter)
    if (given !== undefined) shared.push(parameter)
    const index = given ?? indices.size
    indices.set(parameter, index)
    return index
  }
  const grams = gramsKernel(wanted.size, columns)
  try {
    backwardInPieces(model, batch, extent, (tapped) => {
      if (!wanted.has(`${tapped.name}.weight`)) return
      contribute(grams, tapped, rowOffsetsOf(tapped, offsets), method, indexOf)
    })
    // Its gradient would be the sum of both ops' gradients, whose Gram matrix is not the sum of their Gram matrices.
    if (shared.length > 0) throw new Error(`two tapped ops share the parameters ${shared.join(", ")}`)
    const missing = [...wanted].filter((parameter) => !indices.has(parameter))
    if (missing.length > 0) throw new Error(`no tapped op has the parameters ${missing.join(", ")}`)
    const all = grams.read()
    return new Map(
      [...indices].map(([parameter, index]) => [
        parameter,
        all.subarray(index * columns ** 2, (index + 1) * columns ** 2),
      ]),
    )
  } finally {
    grams.dispose()
  }
}

/** All layers together, reported as a block though it is not one of the model's. */
export const encoder = "encoder"

/**
 * The Gram matrix of each block: that of concatenated gradients is the sum of their Gram matrices. If there are layers
 * among the blocks, their sum is added as `encoder`: the Gram matrix of its full Fisher, cross-layer blocks included.
 */
export const blockGrams = (
  blocks: Blocks,
  grams: ReadonlyMap<string, Float64Array>,
): ReadonlyMap<string, Float64Array> => {
  const sums = new Map(
    [...blocks].map(([block, names]) => [block, sumOf(names.map((name) => grams.get(name)!))] as const),
  )
  const layers = [...sums].filter(([block]) => layerOf(block) !== undefined)
  return layers.length === 0 ? sums : sums.set(encoder, sumOf(layers.map(([, gram]) => gram)))
}

const sumOf = ([first, ...others]: readonly Float64Array[]): Float64Array => {
  const sum = first!.slice()
  for (const gram of others) addTo(sum, gram)
  return sum
}

const lowestOf = ({ config }: EncoderModel, blocks: Blocks): number =>
  Math.min(
    ...[...blocks.keys()].map((block) =>
      block === "embeddings" ? embeddingsLevel : (layerOf(block) ?? config.layers),
    ),
  )
