import type * as tf from "@tensorflow/tfjs-core"
import { type Component, componentOf } from "../api/component.ts"
import type { Draw } from "./stream.ts"

/** What a model computes with in an update instead of the weights of linear layers that are trained. */
export interface ParametrisationFunctions {
  /**
   * A weight matrix as the model uses it in one update, [O, I]: differentiable by θ. Runs in a tidy.
   *
   * @param start θ before training
   * @param draw where random numbers for this matrix and update come from
   */
  readonly weight: (theta_OI: tf.Tensor2D, start_OI: tf.Tensor2D, draw: Draw) => tf.Tensor2D
}

/** See {@link ParametrisationFunctions}; `component` makes one, in a file of its own. */
export type Parametrisation = Component<"parametrisation"> & ParametrisationFunctions

/** The option of a plugin that takes a parametrisation. */
export const parametrisationOption = componentOf<Parametrisation>("parametrisation")
