import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { softmaxCrossEntropy } from "../../../../core/tensor/ops/softmax-cross-entropy.ts"
import { holdAgainstFloat64 } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

onEveryDefinition("softmaxCrossEntropy", () => {
  const loss = (logits: readonly (readonly number[])[], labels: readonly number[]) =>
    labels.reduce((sum, label, n) => {
      const row = logits[n]!
      const largest = Math.max(...row)
      return (
        sum + Math.log(row.reduce((total, x) => total + Math.exp(x - largest), 0)) + largest - row[label]!
      )
    }, 0) / labels.length

  test.each([
    { classes: 2, labels: [1] },
    { classes: 1, labels: [0, 0] },
    { classes: 33, labels: [0, 32, 7, 7, 15] },
  ])("$labels of $classes classes", ({ classes, labels }) => {
    holdAgainstFloat64({
      inputs: { logits: { rows: labels.length, columns: classes, scale: 2 } },
      op: (get) => softmaxCrossEntropy(get("logits"), Int32Array.from(labels)),
      exact: (get) => {
        const { values } = get("logits")
        const logits = labels.map((_, n) => [...values.subarray(n * classes, (n + 1) * classes)])
        return [loss(logits, labels)]
      },
    })
  })

  test("logits hundreds apart neither overflow nor vanish", () => {
    tf.tidy(() => {
      const value = softmaxCrossEntropy(tf.tensor2d([[500, -500]]), new Int32Array([1]))
      expect(value.dataSync()[0]).toBe(1000)
    })
  })

  test("refuses labels that are not classes, and a mean over no rows", () => {
    tf.tidy(() => {
      expect(() => softmaxCrossEntropy(tf.zeros([1, 2]), new Int32Array([2]))).toThrow(
        "expected labels from 0 to 1, found 2",
      )
      expect(() => softmaxCrossEntropy(tf.zeros([2, 2]), new Int32Array([1]))).toThrow(
        "found 1 labels and 2 rows",
      )
      expect(() => softmaxCrossEntropy(tf.zeros([0, 2]), new Int32Array(0))).toThrow(RangeError)
    })
  })
})
