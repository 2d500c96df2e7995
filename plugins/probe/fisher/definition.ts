/**
 * The Gram matrices as they are defined: each sample alone in a backward pass of its own that gives its whole gradient,
 * and dot products of those in float64. Slow, and shares nothing with the batched pass but the ops.
 */
import type * as tf from "@tensorflow/tfjs-core"
import { type Sequences, selectSequences } from "../../../core/artifacts/sequences.ts"
import { disposeGradients, type Parameters, valueAndGradients } from "../../../core/tensor/parameters.ts"
import { type Labelled, logLikelihood } from "./backward.ts"
import type { Blocks } from "./block-grams.ts"
import { gramOf } from "./gram.ts"

export interface Classifier {
  readonly parameters: Parameters
  /** Without dropout, [N, classes]; the caller's to free. */
  readonly logits: (batch: Sequences) => tf.Tensor2D
}

/**
 * Block after block, so that the gradients of one block, for all N samples, are in host memory at a time.
 *
 * @returns [N, N], row-major, for every parameter of the blocks
 */
export const gramsByDefinition = (
  { parameters, logits }: Classifier,
  blocks: Blocks,
  { sequences, labels }: Labelled,
): ReadonlyMap<string, Float64Array> => {
  const grams = new Map<string, Float64Array>()
  for (const names of blocks.values()) {
    const gradientsOf = new Map(names.map((name) => [name, [] as Float32Array[]]))
    for (let n = 0; n < labels.length; n++) {
      const alone = selectSequences(sequences, [n])
      const label = labels.subarray(n, n + 1)
      const { value, gradients } = valueAndGradients(
        () => logLikelihood(logits(alone), label),
        parameters,
        names,
      )
      for (const [name, vectors] of gradientsOf) {
        // A copy: some backends hand out their own memory. What the loss does not depend on has no gradient.
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
