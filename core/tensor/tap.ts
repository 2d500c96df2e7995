import * as tf from "@tensorflow/tfjs-core"

/** What per-sample gradients of a parameter follow from. T tokens, I inputs, O outputs, H features. */
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
 * Called inside the backward pass, last op first, for each op that was given a name. The tensors live during the call
 * only: keep (`tf.keep(tensor.clone())`) or read what is needed later.
 */
export type Receive = (tapped: Tapped) => void

export interface Tap {
  readonly receive: Receive
  /**
   * No op computes the gradients of its parameters: a tap needs inputs and output gradients. So nothing at the bottom
   * of the model asks for a gradient, and tfjs would skip the backward pass; every op takes this scalar as an input
   * instead.
   */
  readonly anchor: tf.Scalar
}

let installed: Tap | undefined

/** The tap that ops made now report to. */
export const currentTap = (): Tap | undefined => installed

export interface Backward {
  /** The tensor that the gradient of the output is wanted of too. */
  readonly input?: tf.Tensor | undefined
  /** The gradient that comes from above, shaped as the output; 1 where the output is a scalar and this is left out. */
  readonly outputGradient?: tf.Tensor | undefined
}

/**
 * One forward and backward pass that serves a tap: no parameter gradient is computed.
 *
 * @param output makes the tensor that is differentiated; ops that it makes report to the tap
 * @returns the gradient of the output with respect to `input`, the caller's to free; undefined without an input
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
      return tf.engine().gradients(output, sources, outputGradient, true).grads[1]
    })
  } finally {
    installed = outer
    anchor.dispose()
  }
}

/**
 * What an op with parameters is differentiated by: its inputs and parameters, or, under a tap, its inputs and
 * the anchor (whose gradient is a zero scalar).
 */
export const differentiatedBy = (
  tap: Tap | undefined,
  inputs: readonly tf.Tensor[],
  parameters: readonly tf.Tensor[],
): readonly tf.Tensor[] => (tap === undefined ? [...inputs, ...parameters] : [...inputs, tap.anchor])

/** The gradients that go with `differentiatedBy`. */
export const gradientsOf = (
  tap: Tap | undefined,
  inputGradients: readonly tf.Tensor[],
  parameterGradients: () => readonly tf.Tensor[],
): tf.Tensor[] =>
  tap === undefined ? [...inputGradients, ...parameterGradients()] : [...inputGradients, tf.scalar(0)]
