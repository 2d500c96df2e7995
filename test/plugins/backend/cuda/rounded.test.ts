import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { attention } from "../../../../core/tensor/ops/attention.ts"
import {
  layerNormInputGradientKernel,
  residualNormInputGradientKernel,
  residualNormKernel,
} from "../../../../core/tensor/ops/layer-norm.ts"
import {
  linearGeluKernel,
  linearInputGradientKernel,
  linearInputGradientTimesKernel,
  linearKernel,
} from "../../../../core/tensor/ops/linear.ts"
import { stream } from "../../../../core/tensor/stream.ts"
import { differentiate } from "../../../../core/tensor/tape.ts"
import { noise } from "../../../core/tensor/against-float64.ts"
import { emulated, startEmulated } from "./emulated.ts"
import { launchesOf } from "./orders.ts"

const of = <T extends tf.Tensor = tf.Tensor2D>(site: number, ...shape: readonly number[]): T =>
  tf.tensor(noise(site, tf.util.sizeFromShape([...shape])), [...shape]) as T

const dropout = { rate: 0.1, stream: stream(3, "dropout"), site: 4, iteration: 5 }

/** Tensors that kernels write, and that the model multiplies. */
const written = (tokens: number, hidden: number): Readonly<Record<string, tf.Tensor2D>> => {
  const [x, residual, dy] = [of(1, tokens, hidden), of(2, tokens, hidden), of(3, tokens, hidden)]
  const values = of(13, tokens, hidden)
  const [gamma, beta] = [of<tf.Tensor1D>(4, hidden), of<tf.Tensor1D>(5, hidden)]
  const { y_TH, normalised_TH, rstd_T } = residualNormKernel(
    x,
    residual,
    gamma,
    beta,
    1e-5,
    dropout,
    undefined,
  )
  const dropped = residualNormInputGradientKernel(
    dy,
    normalised_TH,
    rstd_T,
    gamma,
    undefined,
    dropout,
    undefined,
  )
  const [weight, bias] = [of(6, hidden, 24), of<tf.Tensor1D>(7, hidden)]
  const inner = linearGeluKernel(of(8, tokens, 24), weight, bias)
  const heads = hidden % 8 === 0 && hidden <= 1024 ? 8 : 1
  const attended = () =>
    attention(x, residual, values, {
      heads,
      offsets: Int32Array.of(0, Math.ceil(tokens / 3), tokens),
      dropout,
    })
  const flows = hidden / heads <= 128 ? differentiate(attended, [x, residual, values], dy) : undefined
  const [dq, dk, dv] = (flows?.gradients ?? []) as readonly tf.Tensor2D[]
  return {
    "a normalised residual sum": y_TH,
    "its gradient, dropped": dropped.dx_TH as tf.Tensor2D,
    "the gradient of a layer normalisation": layerNormInputGradientKernel(dy, normalised_TH, rstd_T, gamma),
    "what GELU gives": inner.y_TO,
    "a gradient through GELU": linearInputGradientTimesKernel(of(9, tokens, 40), of(10, 40, hidden), dy),
    ...(flows && { "attention's output": flows.value as tf.Tensor2D }),
    ...(dq && dk && dv && { "the queries' gradient": dq, "the keys'": dk, "the values'": dv }),
  }
}

describe.skipIf(emulated === undefined)("in bfloat16", () => {
  beforeAll(() => startEmulated({ precision: "bf16" }))
  afterAll(() => startEmulated())

  test.each([
    [5, 8],
    [150, 96],
    [3, 4104],
  ])("kernels round for the next product what they write, %i tokens of %i features", (tokens, hidden) => {
    tf.tidy(() => {
      const [weight, bias] = [of(11, 16, hidden), tf.zeros<tf.Rank.R1>([16])]
      linearKernel(of(12, 1, hidden), weight, bias)
      for (const [what, tensor] of Object.entries(written(tokens, hidden))) {
        let product: tf.Tensor2D
        const own = launchesOf(() => {
          product = linearKernel(tensor, weight, bias)
        })
        const values = tf.tensor2d(tensor.dataSync(), [tokens, hidden])
        let expected: tf.Tensor2D
        const fresh = launchesOf(() => {
          expected = linearKernel(values, weight, bias)
        })
        expect([what, own["round_matrix"], fresh["round_matrix"]]).toEqual([what, undefined, 1])
        expect(product!.dataSync()).toEqual(expected!.dataSync())
      }
    })
  })

  test("rows that are no multiples of 16 bytes are rounded by the product", () => {
    tf.tidy(() => {
      const [weight, bias] = [of(11, 16, 12), tf.zeros<tf.Rank.R1>([16])]
      for (const [what, tensor] of Object.entries(written(7, 12))) {
        const values = tf.tensor2d(tensor.dataSync(), [7, 12])
        const [product, expected] = [linearKernel(tensor, weight, bias), linearKernel(values, weight, bias)]
        expect([what, ...product.dataSync()]).toEqual([what, ...expected.dataSync()])
      }
    })
  })

  test("what was rounded is forgotten when the tensor is written again", () => {
    tf.tidy(() => {
      const [weight, bias] = [of(11, 16, 24), tf.zeros<tf.Rank.R1>([16])]
      const gradient = linearInputGradientTimesKernel(of(1, 5, 8), of(2, 8, 24), of(3, 5, 24))
      const sum = linearInputGradientKernel(of(4, 5, 8), of(5, 8, 24), gradient)
      expect(sum).toBe(gradient)
      const values = tf.tensor2d(sum.dataSync(), [5, 24])
      expect(linearKernel(sum, weight, bias).dataSync()).toEqual(
        linearKernel(values, weight, bias).dataSync(),
      )
    })
  })
})
