import * as tf from "@tensorflow/tfjs-core"

/**
 * `tf.customGrad` with names and types: `backward` receives what `forward` saved and gives one gradient for each input,
 * in the same order. It runs in a tidy of its own, so that its intermediate tensors do not live until the end of the
 * whole backward pass.
 */
export const differentiable = <
  Y extends tf.Tensor,
  S extends Readonly<Record<string, tf.Tensor | undefined>>,
>(
  inputs: readonly tf.Tensor[],
  forward: () => { readonly y: Y; readonly saved: S },
  backward: (dy: Y, saved: S) => tf.Tensor[],
): Y =>
  tf.customGrad<Y>((...given) => {
    const { y, saved } = forward()
    const names: string[] = []
    const tensors: tf.Tensor[] = []
    for (const [name, tensor] of Object.entries(saved)) {
      if (tensor === undefined) continue
      names.push(name)
      tensors.push(tensor)
    }
    const save = given[given.length - 1]
    if (typeof save === "function") save(tensors)
    return {
      value: y,
      gradFunc: (dy, kept) =>
        tf.tidy(() => {
          // tfjs returns clones of what was saved, in the same order.
          const entries = names.map((name, index) => [name, kept[index]])
          return backward(dy, Object.fromEntries(entries) as S)
        }),
    }
  })(...inputs)
