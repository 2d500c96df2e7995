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

export interface Tap {
  /**
   * Called inside the backward pass, last op first, for each op that was given a name. The tensors live during the
   * call only: keep (`tf.keep(tensor.clone())`) or read what is needed later.
   */
  readonly receive: (tapped: Tapped) => void
  /** Where false, no op computes the gradients of its own parameters: a probe needs inputs and output gradients. */
  readonly parameterGradients: boolean
}

interface Installed extends Tap {
  /**
   * Without parameters nothing at the bottom of the model asks for a gradient, and tfjs would skip the backward
   * pass; so every op takes this scalar as an input too.
   */
  readonly anchor: tf.Scalar
}

let installed: Installed | undefined

/** The tap that ops made now report to. */
export const currentTap = (): Installed | undefined => installed

const install = <T>(tap: Installed, body: () => T): T => {
  const outer = installed
  installed = tap
  try {
    return body()
  } finally {
    installed = outer
  }
}

/** Runs a forward and backward pass, in `body`, with a tap. Ops report to the tap that was there when they ran. */
export const withTap = <T>(tap: Tap, body: () => T): T => {
  const anchor = tf.keep(tf.scalar(0))
  try {
    return install({ ...tap, anchor }, body)
  } finally {
    anchor.dispose()
  }
}

/**
 * One forward and backward pass that serves a tap alone: no parameter gradient is computed, nothing is left behind.
 *
 * @returns the loss
 */
export const backwardThroughTap = (loss: () => tf.Scalar, receive: (tapped: Tapped) => void): number => {
  const anchor = tf.scalar(0)
  try {
    return tf.tidy(() => {
      const tap = { receive, parameterGradients: false, anchor }
      const { value } = install(tap, () => tf.engine().gradients(loss, [anchor], undefined, true))
      return value.dataSync()[0]!
    })
  } finally {
    anchor.dispose()
  }
}

/**
 * What an op with parameters is differentiated by: its inputs and parameters, or, under a tap that wants no
 * parameter gradients, its inputs and the anchor (whose gradient is a zero scalar).
 */
export const differentiatedBy = (
  tap: Installed | undefined,
  inputs: readonly tf.Tensor[],
  parameters: readonly tf.Tensor[],
): readonly tf.Tensor[] =>
  tap === undefined || tap.parameterGradients ? [...inputs, ...parameters] : [...inputs, tap.anchor]

/** The gradients that go with `differentiatedBy`. */
export const gradientsOf = (
  tap: Installed | undefined,
  inputGradients: readonly tf.Tensor[],
  parameterGradients: () => readonly tf.Tensor[],
): tf.Tensor[] =>
  tap === undefined || tap.parameterGradients
    ? [...inputGradients, ...parameterGradients()]
    : [...inputGradients, tf.scalar(0)]
