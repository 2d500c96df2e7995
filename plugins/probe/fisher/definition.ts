/**
 * The Gram matrices by definition: the whole gradient of each sample from a backward pass of its own, and the dot
 * products of these gradients in float64. Slow, and shares only the ops with the batched pass.
 */
import type * as tf from "@tensorflow/tfjs-core"
import type { Sequences } from "../../../core/artifacts/sequences.ts"
import {
  disposeGradients,
  type ReadonlyParameters,
  valueAndGradients,
} from "../../../core/tensor/parameters.ts"
import type { Blocks } from "../shared/gram/block-grams.ts"
import { type Columns, columnOf, countOf, sumOf } from "../shared/gram/columns.ts"
import { gramOf } from "../shared/gram/gram.ts"

export interface Classifier {
  readonly parameters: ReadonlyParameters
  /** [N, classes], without dropout. The caller disposes of them. */
  readonly logits: (batch: Sequences) => tf.Tensor2D
}

/**
 * One block at a time, so that host memory holds the gradients of all N samples for one block only.
 *
 * @returns [N, N], row-major, for every parameter of the blocks
 */
export const gramsByDefinition = (
  { parameters, logits }: Classifier,
  blocks: Blocks,
  batch: Columns,
): ReadonlyMap<string, Float64Array> => {
  const grams = new Map<string, Float64Array>()
  for (const names of blocks.values()) {
    const gradientsOf = new Map(names.map((name) => [name, [] as Float32Array[]]))
    for (let n = 0; n < countOf(batch); n++) {
      const alone = columnOf(batch, n)
      const { value, gradients } = valueAndGradients(
        () => sumOf(alone, logits(alone.sequences)),
        parameters,
        names,
      )
      for (const [name, vectors] of gradientsOf) {
        // A copy: some backends return their own memory. A parameter that the loss does not depend on has no gradient.
        const gradient = gradients.get(name)?.dataSync<"float32">().slice()
        vectors.push(gradient ?? new Float32Array(parameters.get(name).size))
      }
      value.dispose()
      disposeGradients(gradients)
    }
    for (const [name, vectors] of gradientsOf) grams.set(name, gramOf(vectors))
  }
  return grams
}
