/** What a tapped op tells of the Gram matrices of its parameters. */
import * as tf from "@tensorflow/tfjs-core"
import type { Tapped } from "../../../core/tensor/tap.ts"
import type { Way } from "./choose.ts"
import { embeddingGram } from "./embedding.ts"
import { gramOf, sumsBySample } from "./gram.ts"
import { linearGram } from "./linear.ts"

/** The Gram matrix of one parameter's per-sample gradients, [N, N]. */
export interface Contribution {
  readonly parameter: string
  readonly gram: Float64Array
}

/**
 * @param offsets [N + 1], sample n has the rows offsets[n] … offsets[n + 1] − 1 of the tapped tensors
 * @param way for the weights of linear layers
 */
export const contributionsOf = (
  tapped: Tapped,
  offsets: Int32Array,
  way: Way | "cheaper",
): readonly Contribution[] => {
  const gramOfSums = (x_TD: tf.Tensor2D) => gramOf(sumsBySample(x_TD, offsets))
  const weight = `${tapped.name}.weight`
  const bias = `${tapped.name}.bias`
  switch (tapped.op) {
    case "linear": {
      const { input_TI, outputGradient_TO } = tapped
      return [
        { parameter: weight, gram: linearGram({ input_TI, outputGradient_TO, offsets }, way) },
        { parameter: bias, gram: gramOfSums(outputGradient_TO) },
      ]
    }
    case "layerNorm": {
      const { normalised_TH, outputGradient_TH } = tapped
      const scaleGradient_TH: tf.Tensor2D = tf.mul(normalised_TH, outputGradient_TH)
      const gram = gramOfSums(scaleGradient_TH)
      scaleGradient_TH.dispose()
      return [
        { parameter: weight, gram },
        { parameter: bias, gram: gramOfSums(outputGradient_TH) },
      ]
    }
    case "embedding": {
      const { ids_T, outputGradient_TH } = tapped
      const gradient = outputGradient_TH.dataSync<"float32">()
      return [{ parameter: weight, gram: embeddingGram(ids_T, gradient, offsets) }]
    }
  }
}
