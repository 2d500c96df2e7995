import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { attention } from "../../../../core/tensor/ops/attention.ts"
import { disposeGradients, Parameters, valueAndGradients } from "../../../../core/tensor/parameters.ts"
import { fillDropoutMask, stream } from "../../../../core/tensor/stream.ts"
import {
  at,
  holdAgainstFloat64,
  type Matrix,
  matrix,
  multiply,
  noise,
  softmaxRows,
  transposed,
} from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

const dropout = { rate: 0.3, stream: stream(4, "dropout"), site: 5, iteration: 6 }

const offsetsOf = (lengths: readonly number[]) => {
  const offsets = [0]
  for (const length of lengths) offsets.push(offsets[offsets.length - 1]! + length)
  return Int32Array.from(offsets)
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

/** softmax(q kᵀ / √d) v, sequence by sequence and head by head. */
const exactAttention = (
  q: Matrix,
  k: Matrix,
  v: Matrix,
  lengths: readonly number[],
  heads: number,
  mask?: Float32Array,
) => {
  const d = q.columns / heads
  const y = matrix(q.rows, q.columns, () => 0)
  let token = 0
  let element = 0
  for (const length of lengths) {
    for (let head = 0; head < heads; head++) {
      const part = (x: Matrix) => matrix(length, d, (row, column) => at(x, token + row, head * d + column))
      const scores = multiply(part(q), transposed(part(k)))
      const p = softmaxRows(matrix(length, length, (i, j) => at(scores, i, j) / Math.sqrt(d)))
      const first = element
      const dropped = matrix(length, length, (i, j) => at(p, i, j) * (mask?.[first + i * length + j] ?? 1))
      const output = multiply(dropped, part(v))
      for (let row = 0; row < length; row++) {
        for (let column = 0; column < d; column++) {
          y.values[(token + row) * q.columns + head * d + column] = at(output, row, column)
        }
      }
      element += length * length
    }
    token += length
  }
  return y.values
}

onEveryDefinition("attention", () => {
  const cases = [
    { lengths: [1], heads: 1, hidden: 1 },
    { lengths: [3, 3, 3], heads: 2, hidden: 4 },
    { lengths: [5, 1, 5, 5, 2], heads: 3, hidden: 9 },
    { lengths: [15, 17], heads: 2, hidden: 6 },
  ]
  for (const { lengths, heads, hidden } of cases) {
    for (const options of [{}, { dropout }]) {
      test(`lengths ${lengths}, ${heads} heads of ${hidden / heads}${options.dropout ? ", with dropout" : ""}`, () => {
        const mask = new Float32Array(heads * sum(lengths.map((length) => length ** 2)))
        fillDropoutMask(mask, { ...dropout, rate: options.dropout ? dropout.rate : 0 })
        const shape = { rows: sum(lengths), columns: hidden }
        holdAgainstFloat64({
          inputs: { q: shape, k: shape, v: shape },
          op: (get) =>
            attention(get("q"), get("k"), get("v"), {
              heads,
              offsets: offsetsOf(lengths),
              ...options,
            }),
          exact: (get) => exactAttention(get("q"), get("k"), get("v"), lengths, heads, mask),
          tolerance: 4e-6,
        })
      })
    }
  }

  // Long enough for the fused kernel to multiply them one by one; too long for finite differences of each element.
  test("long sequences agree with float64, and their gradients with directional derivatives", () => {
    const lengths = [40, 33, 40]
    const [heads, hidden, tokens] = [2, 32, sum(lengths)]
    const input = (site: number): Matrix => ({
      rows: tokens,
      columns: hidden,
      values: Float64Array.from(noise(site, tokens * hidden)),
    })
    const [q, k, v, dy] = [input(1), input(2), input(3), input(4)]
    const before = tf.memory().numTensors
    const parameters = Parameters.fromHost(
      Object.entries({ q, k, v }).map(
        ([name, { values }]) =>
          [name, { shape: [tokens, hidden], values: Float32Array.from(values) }] as const,
      ),
    )
    const apply = () =>
      attention(parameters.get("q"), parameters.get("k"), parameters.get("v"), {
        heads,
        offsets: offsetsOf(lengths),
      })
    const y = tf.tidy(apply)
    const exact = exactAttention(q, k, v, lengths, heads)
    for (const [index, value] of y.dataSync().entries())
      expect(Math.abs(value - exact[index]!)).toBeLessThan(3e-6)
    y.dispose()

    const { value, gradients } = valueAndGradients(
      () => tf.sum(tf.mul(apply(), tf.tensor2d(Float32Array.from(dy.values), [tokens, hidden]))),
      parameters,
    )
    value.dispose()
    // Central differences of the loss along a direction against gradient · direction.
    const loss = (q: Matrix, k: Matrix, v: Matrix) =>
      exactAttention(q, k, v, lengths, heads).reduce(
        (total, value, index) => total + value * dy.values[index]!,
        0,
      )
    for (const [site, name] of ["q", "k", "v"].entries()) {
      const direction = noise(10 + site, tokens * hidden)
      const moved = (step: number) => {
        const given = { q, k, v }
        const shifted = (key: "q" | "k" | "v"): Matrix =>
          key !== name
            ? given[key]
            : {
                ...given[key],
                values: given[key].values.map((value, index) => value + step * direction[index]!),
              }
        return loss(shifted("q"), shifted("k"), shifted("v"))
      }
      const difference = (moved(1e-5) - moved(-1e-5)) / 2e-5
      const gradient = [...gradients.get(name)!.dataSync()]
      const along = gradient.reduce((total, value, index) => total + value * direction[index]!, 0)
      expect(Math.abs(along - difference)).toBeLessThan(1e-4 * Math.max(1, Math.abs(difference)))
    }
    disposeGradients(gradients)
    parameters.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  test("a sequence gives the same bits whichever sequences it is packed with", () => {
    const [heads, hidden] = [2, 8]
    const lengths = [4, 7, 4, 1]
    const sequences = lengths.map((length, n) =>
      [0, 1, 2].map((kind) => noise(20 + 3 * n + kind, length * hidden)),
    )
    const run = (order: readonly number[]) => {
      const found = new Map<number, number[]>()
      tf.tidy(() => {
        const [q, k, v] = [0, 1, 2].map((kind) =>
          tf.concat(order.map((n) => tf.tensor2d(sequences[n]![kind]!, [lengths[n]!, hidden]))),
        )
        const offsets = offsetsOf(order.map((n) => lengths[n]!))
        const y = attention(q!, k!, v!, { heads, offsets })
        for (const [index, n] of order.entries()) {
          found.set(n, [...tf.slice(y, [offsets[index]!, 0], [lengths[n]!, hidden]).dataSync()])
        }
      })
      return found
    }
    const together = run([0, 1, 2, 3])
    for (const order of [[3, 2, 1, 0], [1, 3], [0, 2], [2], [0, 1, 3]]) {
      for (const [n, values] of run(order)) expect(values).toEqual(together.get(n)!)
    }
  })

  test("refuses offsets and heads that do not fit", () => {
    tf.tidy(() => {
      const x: tf.Tensor2D = tf.zeros([4, 6])
      const apply = (heads: number, offsets: readonly number[]) => () =>
        attention(x, x, x, { heads, offsets: Int32Array.from(offsets) })
      expect(apply(4, [0, 4])).toThrow("4 heads do not divide 6 features")
      expect(apply(2, [0, 3])).toThrow("expected offsets from 0 to 4, the number of tokens, found 0 to 3")
      expect(apply(2, [1, 4])).toThrow(RangeError)
      expect(apply(2, [0])).toThrow(RangeError)
      expect(apply(2, [0, 2, 2, 4])).toThrow("sequence 1 has 0 tokens")
    })
  })
})
