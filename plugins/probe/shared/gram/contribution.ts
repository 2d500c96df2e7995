/** The Gram matrices of the parameters of a tapped op. */
import type { Tapped } from "../../../../core/tensor/tap.ts"
import { embeddingGram } from "./embedding.ts"
import { sumsGramKernel } from "./gram.ts"
import type { GramMethod } from "./gram-method.ts"
import { linearGram } from "./linear.ts"

/** The Gram matrix of one parameter's per-sample gradients, [N, N]. */
export interface Contribution {
  readonly parameter: string
  readonly gram: Float64Array
}

/**
 * @param offsets [N + 1], sample n has the rows offsets[n] … offsets[n + 1] − 1 of the tapped tensors
 * @param method for the weights of linear layers
 */
export const contributionsOf = (
  tapped: Tapped,
  offsets: Int32Array,
  method: GramMethod | "cheaper",
): readonly Contribution[] => {
  const weight = `${tapped.name}.weight`
  const bias = `${tapped.name}.bias`
  switch (tapped.op) {
    case "linear": {
      const { input_TI, outputGradient_TO } = tapped
      return [
        { parameter: weight, gram: linearGram({ input_TI, outputGradient_TO, offsets }, method) },
        { parameter: bias, gram: sumsGramKernel(outputGradient_TO, offsets) },
      ]
    }
    case "layerNorm": {
      const { normalised_TH, outputGradient_TH } = tapped
      return [
        { parameter: weight, gram: sumsGramKernel(outputGradient_TH, offsets, normalised_TH) },
        { parameter: bias, gram: sumsGramKernel(outputGradient_TH, offsets) },
      ]
    }
    case "embedding": {
      const { ids_T, outputGradient_TH } = tapped
      const gradient = outputGradient_TH.dataSync<"float32">()
      return [{ parameter: weight, gram: embeddingGram(ids_T, gradient, offsets) }]
    }
  }
}
