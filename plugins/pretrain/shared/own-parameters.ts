/** Parameters of a loss's own, such as those of a projector: trained with the model, and left behind at the end. */
import * as tf from "@tensorflow/tfjs-core"
import type { Parameters } from "../../../core/tensor/parameters.ts"
import { normal, type Stream } from "../../../core/tensor/stream.ts"

/** Shapes by name: matrices, drawn from N(0, 1 / I) for I columns, and vectors, which start at 0. */
export type OwnShapes = Readonly<Record<string, readonly number[]>>

/** The name of a parameter of the loss's own among the model's. */
export const ownName = (name: string): string => `loss.${name}`

/** Adds a loss's own parameters to those of the model. Each draws from its own site of the stream. */
export const drawInto = (parameters: Parameters, shapes: OwnShapes, stream: Stream) => {
  for (const [site, [name, shape]] of Object.entries(shapes).entries()) {
    const size = tf.util.sizeFromShape([...shape])
    const values =
      shape.length > 1
        ? normal({ stream, site, iteration: 0 }, size, Math.sqrt(shape[0]! / size))
        : new Float32Array(size)
    parameters.set(ownName(name), tf.tensor(values, [...shape]))
  }
}
