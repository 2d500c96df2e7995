/** Which parameters a run trains, and which of them it starts from anew. */
import * as tf from "@tensorflow/tfjs-core"
import type { Parameters } from "../../../core/tensor/parameters.ts"
import type { Stream } from "../../../core/tensor/stream.ts"
import type { EncoderConfig } from "../../model/config.ts"
import { initialise } from "../../model/initialise.ts"
import { layerOf, type ParameterSpec } from "../../model/parameters.ts"

/** A number k means the embeddings and the k lowest layers, a list the blocks of these names. */
export type Frozen = number | readonly string[]

/** The blocks that are frozen, of those of a model. */
export const frozenBlocks = (frozen: Frozen, blocks: readonly string[]): ReadonlySet<string> =>
  new Set(
    typeof frozen === "number"
      ? blocks.filter(
          (block) => block === "embeddings" || (layerOf(block) ?? Number.POSITIVE_INFINITY) < frozen,
        )
      : frozen,
  )

/**
 * Why a choice does not fit a model.
 *
 * @param blocks all of the model's, in its order
 * @param frozen what is frozen, in each phase of a run
 * @param reinitialise the number of top layers that are drawn anew
 */
export const trainedProblems = (
  blocks: readonly string[],
  frozen: readonly Frozen[],
  reinitialise: number,
): readonly string[] => {
  const atMost = (name: string, count: number) => {
    const layers = blocks.filter((block) => layerOf(block) !== undefined).length
    return count > layers
      ? [`${name} must be at most ${layers}, the number of the model's layers (was ${count})`]
      : []
  }
  const found = frozen.flatMap((each) => [
    ...(typeof each === "number" ? atMost("frozen", each) : []),
    ...frozenProblems(blocks, each),
  ])
  return [...atMost("reinitialise", reinitialise), ...new Set(found)]
}

const frozenProblems = (blocks: readonly string[], frozen: Frozen): readonly string[] => {
  const problems: string[] = []
  const chosen = frozenBlocks(frozen, blocks)
  for (const block of chosen) {
    if (blocks.includes(block)) continue
    problems.push(`frozen must name blocks of the model: ${blocks.join(", ")} (was ${JSON.stringify(block)})`)
  }
  if (blocks.every((block) => chosen.has(block))) {
    problems.push("frozen must leave a block to train (was all of them)")
  }
  return problems
}

/**
 * What the learning rate of each trained parameter is multiplied by. With layer-wise decay d it is 1 for the output
 * heads and the top layer, and for each block below d times that of the block above it, the embeddings being the lowest
 * (Howard and Ruder 2018, section 3.2; Zhang et al. 2021, section 5).
 */
export const multipliersOf = (
  specs: readonly ParameterSpec[],
  frozen: ReadonlySet<string>,
  layerwiseDecay: number,
): ReadonlyMap<string, number> => {
  const layers = Math.max(0, ...specs.map(({ block }) => (layerOf(block) ?? -1) + 1))
  // By multiplication, since engines may round powers differently. powers[n] is that of the block n below the top layer.
  const powers = [1]
  for (let below = 1; below <= layers; below++) powers.push(powers[below - 1]! * layerwiseDecay)
  const below = (block: string) =>
    block === "embeddings" ? layers : layers - 1 - (layerOf(block) ?? layers - 1)
  return new Map(
    specs.filter(({ block }) => !frozen.has(block)).map(({ name, block }) => [name, powers[below(block)]!]),
  )
}

/**
 * Draws the parameters of the top layers anew (Zhang et al. 2021, section 4).
 *
 * @returns the names of the blocks that were drawn
 */
export const redrawLayers = (
  config: EncoderConfig,
  parameters: Parameters,
  specs: readonly ParameterSpec[],
  topLayers: number,
  draw: Stream,
): readonly string[] => {
  const redrawn = specs.filter(({ block }) => (layerOf(block) ?? -1) >= config.layers - topLayers)
  for (const [name, { shape, values }] of initialise(config, redrawn, draw)) {
    parameters.set(name, tf.tensor(values, [...shape]))
  }
  return redrawn.map(({ block }) => block)
}
