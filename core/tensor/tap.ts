import * as tf from "@tensorflow/tfjs-core"
import { differentiate } from "./tape.ts"

/** What the per-sample gradients of an op's parameters follow from. T tokens, I inputs, O outputs, H features. */
export type Tapped =
  | {
      readonly op: "linear"
      readonly name: string
      readonly input_TI: tf.Tensor2D
      readonly outputGradient_TO: tf.Tensor2D
    }
  | {
      readonly op: "layerNorm"
      readonly name: string
      /** The normalised input x̂, before scale and shift. */
      readonly normalised_TH: tf.Tensor2D
      readonly outputGradient_TH: tf.Tensor2D
    }
  | {
      readonly op: "embedding"
      readonly name: string
      readonly ids_T: Int32Array
      readonly outputGradient_TH: tf.Tensor2D
    }

/**
 * Called during the backward pass, last op first, for each op that was given a name. The tensors live only during the
 * call: keep (`tf.keep(tensor.clone())`) or read what is needed later.
 */
export type Receive = (tapped: Tapped) => void

export interface Tap {
  readonly receive: Receive
  /**
   * Under a tap no op computes the gradients of its parameters, since a tap needs only inputs and output gradients. But
   * then nothing at the bottom of the model needs a gradient, and tfjs would skip the backward pass. So every op takes
   * this scalar as an input in their place.
   */
  readonly anchor: tf.Scalar
}

let installed: Tap | undefined

/** The tap in use, if any: named ops report to it. */
export const currentTap = (): Tap | undefined => installed

export interface Backward {
  /** A tensor whose gradient is computed too. */
  readonly input?: tf.Tensor | undefined
  /** The gradient that flows into the output, in its shape; may be omitted, for 1, if the output is a scalar. */
  readonly outputGradient?: tf.Tensor | undefined
}

/**
 * One forward and backward pass for a tap. Computes no parameter gradients.
 *
 * @param output computes the tensor to differentiate; the ops that it calls report to the tap
 * @param receive called for each named op; see {@link Receive}
 * @returns the gradient of the output with respect to `input`, which the caller disposes of; undefined without an input
 */
export const backwardThroughTap = (
  output: () => tf.Tensor,
  receive: Receive,
  { input, outputGradient }: Backward = {},
): tf.Tensor | undefined => {
  const anchor = tf.scalar(0)
  const outer = installed
  installed = { receive, anchor }
  try {
    return tf.tidy(() => {
      const sources = input === undefined ? [anchor] : [anchor, input]
      return differentiate(output, sources, outputGradient).gradients[1]
    })
  } finally {
    installed = outer
    anchor.dispose()
  }
}

/**
 * The tensors by which an op with parameters is differentiated: its inputs and parameters or, under a tap, its inputs
 * and the anchor (whose gradient is a zero scalar).
 */
export const differentiatedBy = (
  tap: Tap | undefined,
  inputs: readonly tf.Tensor[],
  parameters: readonly tf.Tensor[],
): readonly tf.Tensor[] => (tap === undefined ? [...inputs, ...parameters] : [...inputs, tap.anchor])

/** The gradients with respect to the tensors of `differentiatedBy`, in the same order. */
export const gradientsOf = (
  tap: Tap | undefined,
  inputGradients: readonly tf.Tensor[],
  parameterGradients: () => readonly tf.Tensor[],
): tf.Tensor[] =>
  tap === undefined ? [...inputGradients, ...parameterGradients()] : [...inputGradients, tf.scalar(0)]
