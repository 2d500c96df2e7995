import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { feedForward } from "../../../../core/tensor/ops/feed-forward.ts"
import { linear, linearGelu } from "../../../../core/tensor/ops/linear.ts"
import { backwardThroughTap, type Tapped } from "../../../../core/tensor/tap.ts"
import { differentiate } from "../../../../core/tensor/tape.ts"
import { noise } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

onEveryDefinition("feedForward", () => {
  test.each([
    [1, 1, 1],
    [33, 16, 40],
    [70, 33, 65],
  ])("%i tokens of %i features through %i, as its layers one by one", (tokens, width, inner) => {
    const before = tf.memory().numTensors
    const of = (site: number, ...shape: number[]) =>
      tf.tensor(noise(site, tf.util.sizeFromShape(shape), 0.4), shape)
    const x = of(0, tokens, width) as tf.Tensor2D
    const first = { weight_OI: of(1, inner, width) as tf.Tensor2D, bias_O: of(2, inner) as tf.Tensor1D }
    const second = { weight_OI: of(3, width, inner) as tf.Tensor2D, bias_O: of(4, width) as tf.Tensor1D }
    const tensors = [x, first.weight_OI, first.bias_O, second.weight_OI, second.bias_O]
    const dy = tf.tensor2d(noise(9, tokens * width), [tokens, width])
    // The input is also added to the output, so its gradient has two parts.
    const passes = (network: () => tf.Tensor2D): readonly Float32Array[] => {
      let numbers: readonly Float32Array[] = []
      tf.tidy(() => {
        const { value, gradients } = differentiate(() => tf.add(network(), x), tensors, dy)
        numbers = [value, ...gradients].map((tensor) => tensor!.dataSync<"float32">().slice())
      })
      return numbers
    }
    const found = passes(() => feedForward(x, first, second))
    const expected = passes(() =>
      linear(linearGelu(x, first.weight_OI, first.bias_O), second.weight_OI, second.bias_O),
    )
    for (const [i, numbers] of found.entries()) {
      const largest = Math.max(1, ...expected[i]!.map(Math.abs))
      expect(numbers.length).toBe(expected[i]!.length)
      for (const [j, number] of numbers.entries())
        expect(Math.abs(number - expected[i]![j]!)).toBeLessThan(2e-6 * largest)
    }
    tf.dispose([...tensors, dy])
    expect(tf.memory().numTensors).toBe(before)
  })

  test("reports both layers to a tap, the second one first", () => {
    const before = tf.memory().numTensors
    const of = (site: number, rows: number, columns: number) =>
      tf.tensor2d(noise(site, rows * columns), [rows, columns])
    const [x, first, second] = [of(0, 3, 4), of(1, 6, 4), of(2, 2, 6)]
    const [firstBias, secondBias] = [tf.zeros<tf.Rank.R1>([6]), tf.zeros<tf.Rank.R1>([2])]
    const received: unknown[] = []
    backwardThroughTap(
      () =>
        tf.sum(
          feedForward(
            x,
            { weight_OI: first, bias_O: firstBias, name: "first" },
            { weight_OI: second, bias_O: secondBias, name: "second" },
          ),
        ),
      (tapped: Tapped) => {
        if (tapped.op !== "linear") return
        received.push([tapped.name, tapped.input_TI.shape, tapped.outputGradient_TO.shape])
      },
    )
    expect(received).toEqual([
      ["second", [3, 6], [3, 2]],
      ["first", [3, 4], [3, 6]],
    ])
    tf.dispose([x, first, second, firstBias, secondBias])
    expect(tf.memory().numTensors).toBe(before)
  })
})
