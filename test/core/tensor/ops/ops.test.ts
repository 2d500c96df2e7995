import { describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { dropout } from "../../../../core/tensor/ops/dropout.ts"
import { embedding } from "../../../../core/tensor/ops/embedding.ts"
import { infoNCE } from "../../../../core/tensor/ops/info-nce.ts"
import { layerNorm } from "../../../../core/tensor/ops/layer-norm.ts"
import { linear, linearGelu } from "../../../../core/tensor/ops/linear.ts"
import { rows } from "../../../../core/tensor/ops/rows.ts"
import { softmaxCrossEntropy } from "../../../../core/tensor/ops/softmax-cross-entropy.ts"
import { fillDropoutMask, stream } from "../../../../core/tensor/stream.ts"
import { at, holdAgainstFloat64, matrix, multiply, transposed } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

const as1D = (tensor: tf.Tensor) => tensor as tf.Tensor1D
/** Elementwise, by a weight of 1. */
const gelu = (x: tf.Tensor): tf.Tensor =>
  tf.reshape(linearGelu(tf.reshape(x, [x.size, 1]), tf.ones([1, 1]), tf.zeros([1])), x.shape)
const as2D = (tensor: tf.Tensor) => tensor as tf.Tensor2D

onEveryDefinition("linear", () => {
  test.each([
    [1, 1, 1],
    [1, 17, 3],
    [15, 4, 33],
    [33, 16, 17],
    [1, 33, 128],
    [128, 1, 2],
  ])("%i tokens, %i to %i features", (tokens, width, features) => {
    holdAgainstFloat64({
      inputs: {
        x: { rows: tokens, columns: width },
        weight: { rows: features, columns: width },
        bias: { rows: 1, columns: features, vector: true },
      },
      op: (get) => linear(as2D(get("x")), as2D(get("weight")), as1D(get("bias"))),
      exact: (get) => {
        const y = multiply(get("x"), transposed(get("weight")))
        return matrix(tokens, features, (t, o) => at(y, t, o) + at(get("bias"), 0, o)).values
      },
    })
  })
})

onEveryDefinition("layerNorm", () => {
  test.each([
    [1, 2],
    [1, 17],
    [15, 33],
    [17, 16],
  ])("%i tokens, %i features", (tokens, hidden) => {
    holdAgainstFloat64({
      inputs: {
        x: { rows: tokens, columns: hidden, scale: 3 },
        gamma: { rows: 1, columns: hidden, vector: true },
        beta: { rows: 1, columns: hidden, vector: true },
      },
      op: (get) => layerNorm(as2D(get("x")), as1D(get("gamma")), as1D(get("beta")), 1e-2),
      exact: (get) =>
        matrix(tokens, hidden, (t, h) => {
          const row = get("x").values.subarray(t * hidden, (t + 1) * hidden)
          const mean = row.reduce((sum, x) => sum + x, 0) / hidden
          const variance = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / hidden
          const normalised = (row[h]! - mean) / Math.sqrt(variance + 1e-2)
          return normalised * at(get("gamma"), 0, h) + at(get("beta"), 0, h)
        }).values,
      tolerance: 5e-6,
    })
  })

  test("a large common offset does not hide the variance", () => {
    const [deviation] = tf.tidy(() => {
      const x = tf.tensor2d([[1000, 1001, 1002, 1003]])
      return layerNorm(x, tf.ones([4]), tf.zeros([4]), 1e-12).dataSync()
    })
    expect(deviation).toBeCloseTo(-1.5 / Math.sqrt(1.25), 5)
  })
})

/** Φ by Simpson's rule, independent of the series in the kernel. */
const distribution = (x: number): number => {
  const steps = 400
  const h = x / steps
  const density = (z: number) => Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI)
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
})

onEveryDefinition("rows and embedding", () => {
  test.each([
    { count: 5, hidden: 3, ids: [4] },
    { count: 1, hidden: 1, ids: [0, 0, 0] },
    { count: 17, hidden: 15, ids: [3, 16, 3, 0, 3] },
  ])("rows $ids of $count", ({ count, hidden, ids }) => {
    for (const take of [
      (table: tf.Tensor2D) => rows(table, ids),
      (table: tf.Tensor2D) => embedding(table, Int32Array.from(ids)),
    ]) {
      holdAgainstFloat64({
        inputs: { table: { rows: count, columns: hidden } },
        op: (get) => take(as2D(get("table"))),
        exact: (get) => matrix(ids.length, hidden, (n, h) => at(get("table"), ids[n]!, h)).values,
      })
    }
  })

  test("a row outside the table is refused, with its index", () => {
    tf.tidy(() => {
      expect(() => embedding(tf.zeros([4, 2]), new Int32Array([1, 4]))).toThrow("row 4 of a table of 4 rows")
      expect(() => rows(tf.zeros([4, 2]), [-1])).toThrow("row -1 of a table of 4 rows")
    })
  })
})

onEveryDefinition("dropout", () => {
  const draw = { stream: stream(3, "dropout"), site: 2, iteration: 11 }

  test.each([1, 15, 33])("%i numbers use the mask of the draw in both passes", (count) => {
    const mask = new Float32Array(count)
    fillDropoutMask(mask, { ...draw, rate: 0.4 })
    holdAgainstFloat64({
      inputs: { x: { rows: 1, columns: count } },
      op: (get) => dropout(get("x"), { ...draw, rate: 0.4 }),
      exact: (get) => get("x").values.map((x, index) => x * mask[index]!),
    })
  })

  test("a rate of 0 returns a new tensor with the same values", () => {
    const x = tf.tensor1d([1, 2])
    const y = dropout(x, { ...draw, rate: 0 })
    x.dispose()
    expect([...y.dataSync()]).toEqual([1, 2])
    y.dispose()
  })
})

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
      op: (get) => softmaxCrossEntropy(as2D(get("logits")), Int32Array.from(labels)),
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

onEveryDefinition("infoNCE", () => {
  test.each([
    [1, 5],
    [2, 1],
    [7, 17],
  ])("%i pairs of %i features", (count, width) => {
    holdAgainstFloat64({
      inputs: { z1: { rows: count, columns: width }, z2: { rows: count, columns: width } },
      op: (get) => infoNCE(as2D(get("z1")), as2D(get("z2")), 0.5),
      exact: (get) => {
        const cosine = (i: number, j: number) => {
          const a = get("z1").values.subarray(i * width, (i + 1) * width)
          const b = get("z2").values.subarray(j * width, (j + 1) * width)
          const dot = (u: Float64Array, v: Float64Array) => u.reduce((sum, x, k) => sum + x * v[k]!, 0)
          return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
        }
        let sum = 0
        for (let i = 0; i < count; i++) {
          let total = 0
          for (let j = 0; j < count; j++) total += Math.exp(cosine(i, j) / 0.5)
          sum += Math.log(total) - cosine(i, i) / 0.5
        }
        return [sum / count]
      },
    })
  })

  test("equal and orthogonal pairs have a closed form", () => {
    tf.tidy(() => {
      const z: tf.Tensor2D = tf.tensor2d([
        [3, 0],
        [0, 0.1],
      ])
      expect(infoNCE(z, z, 0.05).dataSync()[0]).toBeCloseTo(Math.log1p(Math.exp(-20)), 7)
    })
  })
})

onEveryDefinition("matrices without rows", () => {
  test("pass through the ops of a masked language model's head", () => {
    const before = tf.memory().numTensors
    const shapes = tf.tidy(() => {
      const none = rows(tf.ones([3, 4]), [])
      const hidden = linearGelu(none, tf.ones([4, 4]), tf.ones([4]))
      return [none.shape, layerNorm(hidden, tf.ones([4]), tf.zeros([4]), 1e-12).shape]
    })
    expect(shapes).toEqual([
      [0, 4],
      [0, 4],
    ])
    expect(tf.memory().numTensors).toBe(before)
  })
})

describe("the suite itself", () => {
  test("notices a wrong gradient", () => {
    expect(() =>
      holdAgainstFloat64({
        inputs: { x: { rows: 1, columns: 3 } },
        op: (get) => tf.square(get("x")),
        exact: (get) => get("x").values.map((x) => x * x + 1e-4 * x),
      }),
    ).toThrow()
  })
})
