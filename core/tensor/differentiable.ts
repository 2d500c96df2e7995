import * as tf from "@tensorflow/tfjs-core"
import { byDefinition } from "./kernel.ts"

let twice = false

/**
 * Within `body` gradients can be differentiated too. tfjs takes what an op saved of its forward pass for constants, so
 * each op of `differentiable` then saves its inputs alone, and its backward pass computes the rest from them again, in
 * plain tfjs ops under the outer tape. That holds for the ops in `ops/`; tfjs's own ops can be differentiated twice only
 * if they save inputs: not `tf.exp`, `tf.tanh`, `tf.softmax`, `tf.max`. Gives the same values up to rounding, slower.
 */
export const twiceDifferentiable = <A>(body: () => A): A => {
  const outer = twice
  twice = true
  try {
    return byDefinition(body)
  } finally {
    twice = outer
  }
}

/** Gives an input in the place of itself: in a second forward pass, a copy. */
export type InputOf = <T extends tf.Tensor>(input: T) => T

/**
 * `tf.customGrad` with names and types: `backward` receives what `forward` saved and gives one gradient for each input,
 * in the same order. It runs in a tidy of its own, so that its intermediate tensors do not live until the end of the
 * whole backward pass.
 *
 * tfjs copies what it saves, so that it outlives the tidy of the forward pass. What is kept from every tidy, as the
 * parameters of a model are, is not copied, and must not be disposed of before the backward pass.
 *
 * @param forward takes each of the inputs through `given`
 */
export const differentiable = <
  Y extends tf.Tensor,
  S extends Readonly<Record<string, tf.Tensor | undefined>>,
>(
  inputs: readonly tf.Tensor[],
  forward: (given: InputOf) => { readonly y: Y; readonly saved: S },
  backward: (dy: Y, saved: S) => tf.Tensor[],
): Y =>
  tf.customGrad<Y>((...arguments_) => {
    const save = arguments_[arguments_.length - 1]
    const { y, saved } = forward((input) => input)
    const held: Record<string, tf.Tensor> = {}
    const names: string[] = []
    const tensors: tf.Tensor[] = []
    for (const [name, tensor] of Object.entries(saved)) {
      if (tensor === undefined) continue
      if (tensor.kept) held[name] = tensor
      else {
        names.push(name)
        tensors.push(tensor)
      }
    }
    const again = twice
    if (typeof save === "function") save(again ? [...inputs] : tensors)
    return {
      value: y,
      gradFunc: (dy, kept) =>
        tf.tidy(() => {
          // tfjs returns clones of what was saved, in the same order.
          if (again) return backward(dy, forward(copiesOf(inputs, kept)).saved)
          for (const [index, name] of names.entries()) held[name] = kept[index]!
          return backward(dy, held as S)
        }),
    }
  })(...inputs)

const copiesOf =
  (inputs: readonly tf.Tensor[], copies: readonly tf.Tensor[]): InputOf =>
  <T extends tf.Tensor>(input: T) => {
    const index = inputs.indexOf(input)
    return index === -1 ? input : (copies[index] as T)
  }
