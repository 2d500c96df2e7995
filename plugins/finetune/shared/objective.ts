import type * as tf from "@tensorflow/tfjs-core"
import type { Examples } from "../../../core/artifacts/examples.ts"
import { predictionFrom } from "../../model/predict.ts"

/** What the model computes for N examples. Shapes: H hidden width, C outputs. */
export interface Outputs {
  /** The last layer's hidden states of `[CLS]`. */
  readonly cls_NH: tf.Tensor2D
  /** One for each class, or one for a score. */
  readonly logits_NC: tf.Tensor2D
}

/** The examples of an update. */
export interface Batch<Labels> {
  readonly labels_N: Labels
  /**
   * A forward pass, in training with dropout.
   *
   * @param pass each pass of an update has dropout masks of its own; 0 by default
   */
  readonly forward: (pass?: number) => Outputs
}

/** What a model is fine-tuned for, from examples of either kind. */
export type Objective = ClassObjective | ScoreObjective

/** The model has an output for each class. */
export interface ClassObjective extends Common {
  readonly labels: "classes"
  /** The mean loss of the examples, from the indices of their classes; differentiable. Runs in a tidy. */
  readonly loss: (batch: Batch<Int32Array>) => tf.Scalar
}

/** The model has one output. */
export interface ScoreObjective extends Common {
  readonly labels: "scores"
  /** The mean loss of the examples, from their scores; differentiable. Runs in a tidy. */
  readonly loss: (batch: Batch<Float32Array>) => tf.Scalar
}

interface Common {
  /** What is predicted from an example's logits; by default the class of the largest one, or the score itself. */
  readonly predict?: (logits_C: Float32Array) => number
  /** How many forward passes an update has, for plans; 1 by default. */
  readonly passes?: number
  /** Why it cannot be learned from these data: one line each. */
  readonly problems?: (data: Examples) => readonly string[]
}

/** What a model is taken to predict by its objective. */
export const predictionOf = ({ labels, predict }: Objective): ((logits_C: Float32Array) => number) =>
  predict ?? predictionFrom[labels]
