import type * as tf from "@tensorflow/tfjs-core"
import { exp, log } from "../elementary.ts"
import { implement } from "../kernel.ts"
import { softmaxCrossEntropyKernel } from "../ops/softmax-cross-entropy.ts"
import { allocate, view } from "./memory.ts"

const softmaxCrossEntropy = implement(softmaxCrossEntropyKernel, (logits_NC, labels_N) => {
  const [count, classes] = logits_NC.shape
  const result = { loss: allocate<tf.Scalar>([]), dLogits_NC: allocate<tf.Tensor2D>([count, classes]) }
  const logits = view(logits_NC)
  const dLogits = view(result.dLogits_NC)
  let total = 0
  for (let n = 0; n < count; n++) {
    const start = n * classes
    const end = start + classes
    let largest = Number.NEGATIVE_INFINITY
    for (let index = start; index < end; index++) largest = Math.max(largest, logits[index]!)
    let sum = 0
    for (let index = start; index < end; index++) {
      const exponential = exp(logits[index]! - largest)
      dLogits[index] = exponential
      sum += exponential
    }
    const scale = 1 / (sum * count)
    for (let index = start; index < end; index++) dLogits[index]! *= scale
    const target = start + labels_N[n]!
    dLogits[target]! -= 1 / count
    total += log(sum) + largest - logits[target]!
  }
  view(result.loss)[0] = total / count
  return result
})

export const softmaxCrossEntropyImplementations = [softmaxCrossEntropy]
