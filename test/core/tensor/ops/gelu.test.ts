import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { geluKernel } from "../../../../core/tensor/ops/gelu.ts"
import { linearGelu } from "../../../../core/tensor/ops/linear.ts"
import { holdAgainstFloat64, noise } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

/** Elementwise, by a weight of 1. */
const gelu = (x: tf.Tensor): tf.Tensor =>
  tf.reshape(linearGelu(tf.reshape(x, [x.size, 1]), tf.ones([1, 1]), tf.zeros([1])), x.shape)

/** φ. */
const density = (z: number): number => Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI)

/** Φ by Simpson's rule, independent of the series in the kernel. */
const distribution = (x: number): number => {
  const steps = 400
  const h = x / steps
  let sum = density(0) + density(x)
  for (let k = 1; k < steps; k++) sum += (k % 2 === 1 ? 4 : 2) * density(k * h)
  return 0.5 + (sum * h) / 3
}

onEveryDefinition("gelu", () => {
  test.each([1, 15, 33])("%i numbers", (count) => {
    holdAgainstFloat64({
      inputs: { x: { rows: 1, columns: count, scale: 2 } },
      op: (get) => gelu(get("x")),
      exact: (get) => get("x").values.map((x) => x * distribution(x)),
      tolerance: 1e-6,
    })
  })

  test("over the whole real line, infinities and NaN", () => {
    const points = [Number.NEGATIVE_INFINITY, -40, -8, -7.999, 0, 7.999, 8, 40, Number.POSITIVE_INFINITY]
    for (let x = -9; x <= 9; x += 0.0437) points.push(x)
    tf.tidy(() => {
      const found = gelu(tf.tensor1d(points)).dataSync()
      for (const [index, x] of points.entries()) {
        if (!Number.isFinite(x)) continue
        const exact = x * distribution(Math.fround(x))
        // The polynomial behind tfjs's erf is off by up to 1.5e-7 / 2 of x.
        expect(Math.abs(found[index]! - exact)).toBeLessThan(3e-7 * Math.max(1, Math.abs(x)))
      }
      expect(found[8]).toBe(Number.POSITIVE_INFINITY)
      expect(gelu(tf.scalar(Number.NaN)).dataSync()[0]).toBeNaN()
    })
  })

  test.each([1, 15, 33])("the kernel returns the value and the derivative of %i numbers", (count) => {
    const before = tf.memory().numTensors
    const x = noise(1, count, 2)
    const [y, derivative] = tf.tidy(() => {
      const found = geluKernel(tf.tensor1d(x))
      return [found.y.dataSync(), found.derivative.dataSync()]
    })
    for (const [index, value] of x.entries()) {
      const expected = distribution(value) + value * density(value)
      expect(Math.abs(y![index]! - value * distribution(value))).toBeLessThan(
        1e-6 * Math.max(1, Math.abs(value)),
      )
      expect(Math.abs(derivative![index]! - expected)).toBeLessThan(1e-6)
    }
    expect(tf.memory().numTensors).toBe(before)
  })
})
