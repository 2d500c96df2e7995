/** The Gram matrices of the parameters of a tapped op. */
import type { Tapped } from "../../../../core/tensor/tap.ts"
import { embeddingGram } from "./embedding.ts"
import { cheaper, type GramMethod } from "./gram-method.ts"
import type { Grams } from "./grams.ts"
import { shapeOf } from "./linear.ts"

/**
 * Writes those of the per-sample gradients of each parameter.
 *
 * @param offsets [N + 1], sample n has the rows offsets[n] … offsets[n + 1] − 1 of the tapped tensors
 * @param method for the weights of linear layers
 * @param indexOf the index of a parameter's matrix
 */
export const contribute = (
  grams: Grams,
  tapped: Tapped,
  offsets: Int32Array,
  method: GramMethod | "cheaper",
  indexOf: (parameter: string) => number,
): void => {
  const weight = indexOf(`${tapped.name}.weight`)
  switch (tapped.op) {
    case "linear": {
      const { input_TI, outputGradient_TO } = tapped
      const factors = { input_TI, outputGradient_TO, offsets }
      grams.linear(weight, factors, method === "cheaper" ? cheaper(shapeOf(factors)) : method)
      grams.sums(indexOf(`${tapped.name}.bias`), outputGradient_TO, offsets)
      return
    }
    case "layerNorm": {
      const { normalised_TH, outputGradient_TH } = tapped
      grams.sums(weight, outputGradient_TH, offsets, normalised_TH)
      grams.sums(indexOf(`${tapped.name}.bias`), outputGradient_TH, offsets)
      return
    }
    case "embedding": {
      const { ids_T, outputGradient_TH } = tapped
      grams.write(weight, embeddingGram(ids_T, outputGradient_TH.dataSync<"float32">(), offsets))
      return
    }
  }
}
