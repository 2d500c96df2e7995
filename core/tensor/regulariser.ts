import type * as tf from "@tensorflow/tfjs-core"
import { type Component, componentOf } from "../api/component.ts"

/** A penalty on parameters that is added to the loss. */
export interface RegulariserFunctions {
  /**
   * The penalty's gradient with respect to a parameter θ, in its shape. Runs in a tidy.
   *
   * @param start θ before training; undefined if it was drawn at random, not trained before
   */
  readonly gradient: (theta: tf.Tensor, start: tf.Tensor | undefined) => tf.Tensor
}

/** See {@link RegulariserFunctions}; `component` makes one, in a file of its own. */
export type Regulariser = Component<"regulariser"> & RegulariserFunctions

/** The option of a plugin that takes a regulariser. */
export const regulariserOption = componentOf<Regulariser>("regulariser")
