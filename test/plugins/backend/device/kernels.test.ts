import { beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../../core/tensor/backend.ts"
import { adamwKernel } from "../../../../core/tensor/ops/adamw.ts"
import { attention } from "../../../../core/tensor/ops/attention.ts"
import { dropout } from "../../../../core/tensor/ops/dropout.ts"
import { embedding } from "../../../../core/tensor/ops/embedding.ts"
import { globalNormKernel } from "../../../../core/tensor/ops/global-norm.ts"
import { residualNorm } from "../../../../core/tensor/ops/layer-norm.ts"
import {
  linearGelu,
  linearInputGradientKernel,
  linearInputGradientTimesKernel,
} from "../../../../core/tensor/ops/linear.ts"
import { scatterAddRowsKernel } from "../../../../core/tensor/ops/rows.ts"
import { fillDropoutMask, stream } from "../../../../core/tensor/stream.ts"
import { cpu } from "../../../../plugins/backend/cpu.ts"
import { native } from "../../../../plugins/backend/native.ts"
import { gramsKernel } from "../../../../plugins/probe/shared/gram/grams.ts"
import { noise } from "../../../core/tensor/against-float64.ts"
import { nativeBuilds } from "../../../core/tensor/every-definition.ts"
import { deviation, onEveryDevice, processors } from "./devices.ts"

const random = <T extends tf.Tensor>(site: number, shape: number[]): T =>
  tf.tensor(noise(site, tf.util.sizeFromShape(shape)), shape) as T

const draw = { stream: stream(5, "dropout"), site: 3, iteration: 2 ** 33 + 1 }

const offsetsOf = (lengths: readonly number[]): Int32Array => {
  const offsets = new Int32Array(lengths.length + 1)
  for (const [n, length] of lengths.entries()) offsets[n + 1] = offsets[n]! + length
  return offsets
}

/** The value and gradients of `compute` on a backend. */
const valueAndGradients = (
  backend: string,
  shapes: readonly number[][],
  compute: (x: tf.Tensor[]) => tf.Tensor,
) => {
  tf.setBackend(backend)
  return tf.tidy(() => {
    const inputs = shapes.map((shape, site) => random(site, shape))
    const loss = (...x: tf.Tensor[]) => {
      const y = compute(x)
      return tf.sum(tf.mul(y, random(99, y.shape)))
    }
    const gradients = tf.grads(loss)(inputs)
    return [compute(inputs), ...gradients].map((tensor) => tensor.dataSync().slice())
  })
}

/** Compares the backend in use with the cpu backend. */
const agree = (shapes: readonly number[][], compute: (x: tf.Tensor[]) => tf.Tensor, tolerance = 5e-6) => {
  const backend = tf.getBackend()
  const [found, expected] = [backend, "cpu"].map((each) => valueAndGradients(each, shapes, compute))
  for (const [i, values] of found!.entries()) {
    expect({ i, close: deviation(values, expected![i]!) < tolerance }).toEqual({ i, close: true })
  }
  tf.setBackend(backend)
}

beforeAll(() => Effect.runPromise(startBackend(cpu)))

onEveryDevice("fused kernels", ({ device }) => {
  test.each([
    { lengths: [1], heads: 1, d: 1 },
    { lengths: [1, 1, 15], heads: 2, d: 17 },
    { lengths: [33, 2, 17], heads: 3, d: 16 },
    { lengths: [512], heads: 1, d: 8 },
    { lengths: [64, 31, 65], heads: 4, d: 64 },
  ])("attention over $lengths, $heads heads of $d, all and some queries", ({ lengths, heads, d }) => {
    const offsets = offsetsOf(lengths)
    const tokens = offsets.at(-1)!
    const width = heads * d
    const some = Int32Array.from({ length: tokens }, (_, t) => t).filter((t) => t % 7 === 0)
    for (const queryIndices of [undefined, offsets.slice(0, -1), some]) {
      for (const rate of [0, 0.3]) {
        const queries = queryIndices?.length ?? tokens
        agree(
          [
            [queries, width],
            [tokens, width],
            [tokens, width],
          ],
          ([q, k, v]) =>
            attention(q!.as2D(queries, width), k!.as2D(tokens, width), v!.as2D(tokens, width), {
              heads,
              offsets,
              ...(queryIndices && { queryIndices }),
              dropout: { ...draw, rate },
            }),
        )
      }
    }
  })

  test("attention of some queries gives the same bits as their rows of the attention of all", () => {
    tf.tidy(() => {
      const [q, k, v] = [0, 1, 2].map((site) => random<tf.Tensor2D>(site, [40, 32])) as [
        tf.Tensor2D,
        tf.Tensor2D,
        tf.Tensor2D,
      ]
      const offsets = Int32Array.of(0, 23, 40)
      const queryIndices = Int32Array.of(0, 5, 23, 39)
      const options = { heads: 2, offsets, dropout: { ...draw, rate: 0.2 } }
      const all = tf.gather(attention(q, k, v, options), tf.tensor1d(queryIndices, "int32"))
      const queried = tf.gather(q, tf.tensor1d(queryIndices, "int32"))
      expect(attention(queried, k, v, { ...options, queryIndices }).dataSync()).toEqual(all.dataSync())
    })
  })

  test.each([1, 15, 17, 33, 300])("normalisation of a residual sum with dropout, %i tokens", (tokens) => {
    const hidden = 31
    const indices = Int32Array.from({ length: tokens }, (_, t) => 3 * t + 1)
    for (const options of [
      {},
      { dropout: { ...draw, rate: 0.4 } },
      { dropout: { ...draw, rate: 0.4 }, indices },
    ]) {
      agree([[tokens, hidden], [tokens, hidden], [hidden], [hidden]], ([x, residual, gamma, beta]) =>
        residualNorm(
          x!.as2D(tokens, hidden),
          residual!.as2D(tokens, hidden),
          gamma!.as1D(),
          beta!.as1D(),
          1e-3,
          options,
        ),
      )
    }
  })

  test.each([
    [1, 1, 1],
    [33, 15, 70],
    [130, 64, 257],
  ])("a linear layer with GELU, %i tokens, %i to %i features", (tokens, inputs, outputs) => {
    agree([[tokens, inputs], [outputs, inputs], [outputs]], ([x, weight, bias]) =>
      linearGelu(x!.as2D(tokens, inputs), weight!.as2D(outputs, inputs), bias!.as1D()),
    )
  })

  test.each([
    [1, 1, 1],
    [33, 15, 70],
    [130, 64, 257],
    [257, 600, 65],
  ])("the gradient of a layer's input, %i tokens, %i from %i features", (tokens, inputs, outputs) => {
    const before = tf.memory().numTensors
    const [dy, weight, other] = [
      random<tf.Tensor2D>(1, [tokens, outputs]),
      random<tf.Tensor2D>(2, [outputs, inputs]),
      random<tf.Tensor2D>(3, [tokens, inputs]),
    ]
    const close = (found: tf.Tensor, expected: tf.Tensor) =>
      expect(deviation(found.dataSync(), expected.dataSync())).toBeLessThan(1e-6)
    tf.tidy(() => {
      const { definition } = linearInputGradientKernel
      const own = tf.mul<tf.Tensor2D>(other, 1)
      const sum = linearInputGradientKernel(dy, weight, own)
      expect(sum).toBe(own)
      close(sum, definition(dy, weight, other))
      // What others share keeps its values.
      const shared = other.clone()
      const values = other.dataSync()
      expect(linearInputGradientKernel(dy, weight, shared).dataSync()).toEqual(sum.dataSync())
      expect(other.dataSync()).toEqual(values)
      close(
        linearInputGradientTimesKernel(dy, weight, other),
        linearInputGradientTimesKernel.definition(dy, weight, other),
      )
    })
    tf.dispose([dy, weight, other])
    expect(tf.memory().numTensors).toBe(before)
  })

  test("a gradient of some rows that is added to becomes one of all", () => {
    tf.tidy(() => {
      const rows = scatterAddRowsKernel(tf.ones([2, 3]), Int32Array.of(1, 3), 4)
      const sum = linearInputGradientKernel(tf.ones([4, 1]), tf.ones([1, 3]), rows)
      expect([...tf.sum(sum, 1).dataSync()]).toEqual([3, 6, 3, 6])
      const norm = globalNormKernel([sum], [])
      expect(norm.dataSync()[0]).toBeCloseTo(Math.sqrt(3 + 12 + 3 + 12), 5)
    })
  })

  test.each([1, 3, 4, 63, 65, 5000])("dropout of %i numbers uses the mask of the stream", (count) => {
    const mask = new Float32Array(count)
    for (const rate of [0.1, 0.999]) {
      fillDropoutMask(mask, { ...draw, rate })
      tf.tidy(() => expect(dropout(tf.ones([count]), { ...draw, rate }).dataSync()).toEqual(mask))
      for (const first of [1, 2, 3, 4, 77]) {
        const part = new Float32Array(count)
        fillDropoutMask(part, { ...draw, rate }, first * count)
        const indices = Int32Array.of(first)
        tf.tidy(() =>
          expect(dropout(tf.ones([1, count]), { ...draw, rate }, indices).dataSync()).toEqual(part),
        )
      }
    }
  })

  test.each([
    { lengths: [1], inputs: 1, outputs: 1 },
    { lengths: [3, 0, 17, 1, 9], inputs: 15, outputs: 33 },
    { lengths: new Array<number>(18).fill(20), inputs: 33, outputs: 17 },
  ])("Gram matrices of $lengths tokens", ({ lengths, inputs, outputs }) => {
    const offsets = offsetsOf(lengths)
    const tokens = offsets.at(-1)!
    const [input, gradient] = [
      random<tf.Tensor2D>(1, [tokens, inputs]),
      random<tf.Tensor2D>(2, [tokens, outputs]),
    ]
    const factor = random<tf.Tensor2D>(3, [tokens, inputs])
    const expectClose = (name: string, found: Float64Array, expected: Float64Array) => {
      expect({ name, close: deviation(found, expected) < 1e-6 }).toEqual({ name, close: true })
      expect(
        found.every(
          (entry, at) =>
            entry === found[(at % lengths.length) * lengths.length + Math.floor(at / lengths.length)],
        ),
      ).toBe(true)
    }
    const size = lengths.length ** 2
    const given = Float64Array.from({ length: size }, (_, at) => at)
    const compute = (room: typeof gramsKernel.definition) => {
      const grams = room(5, lengths.length)
      const factors = { input_TI: input, outputGradient_TO: gradient, offsets }
      try {
        // In another order than they are read in.
        grams.sums(3, input, offsets, factor)
        grams.write(4, given)
        grams.linear(0, factors, "token")
        grams.linear(1, factors, "direct")
        grams.sums(2, input, offsets)
        const all = grams.read()
        return [0, 1, 2, 3, 4].map((at) => all.slice(at * size, (at + 1) * size))
      } finally {
        grams.dispose()
      }
    }
    const found = compute(gramsKernel)
    const before = device().bytesInUse()
    expect(compute(gramsKernel)).toEqual(found)
    expect(device().bytesInUse()).toBe(before)
    const defined = compute(gramsKernel.definition)
    for (const [at, name] of ["by tokens", "directly", "sums", "sums with a factor"].entries()) {
      expectClose(name, found[at]!, defined[at]!)
    }
    expect(found[4]).toEqual(given)
    tf.dispose([input, gradient, factor])
  })
})

describe.skipIf(!nativeBuilds)("threads", () => {
  beforeAll(() => Effect.runPromise(startBackend(native)))

  test("one thread and several give the same bits in both passes", () => {
    tf.setBackend("native")
    const { device } = processors[0]!
    const offsets = Int32Array.of(0, 50, 120, 300)
    const compute = ([x, w, b]: tf.Tensor[]) => {
      const h = linearGelu(x!.as2D(300, 64), w!.as2D(64, 64), b!.as1D())
      const a = attention(h, h, h, { heads: 4, offsets, dropout: { ...draw, rate: 0.1 } })
      return residualNorm(a, h, b!.as1D(), b!.as1D(), 1e-5, { dropout: { ...draw, rate: 0.1 } })
    }
    // Threads that are there already are left out, and take part again.
    const [one, ...others] = [1, 3, 3, 2, 1, 4, 2].map((threads) => {
      device.setThreads(threads)
      return valueAndGradients("native", [[300, 64], [64, 64], [64]], compute)
    })
    device.setThreads(1)
    for (const other of others) expect(other).toEqual(one!)
  })
})

onEveryDevice("gradients of a table that are zero except in some rows", (target) => {
  const shape: [number, number] = [50, 7]
  const settings = { beta1: 0.9, beta2: 0.999, epsilon: 1e-6, largestNorm: 0.7 }
  /** One update; its norm, of which it disposes, is scaled down by .7. */
  const updated = (
    given: Readonly<Record<"theta" | "gradient" | "m" | "v", tf.Tensor>>,
    decay = 0,
    norm = tf.scalar(1),
  ) => {
    const [next] = adamwKernel([{ ...given, stepSize: 1e-2, decay }], { norm, ...settings })
    norm.dispose()
    return { ...next! }
  }
  const normOf = (gradients: readonly tf.Tensor[]) => {
    const norm = globalNormKernel(gradients, [])
    const [value] = norm.dataSync()
    norm.dispose()
    return value!
  }

  test("are of no effect if the update fails, as where memory runs out: parameters stay, also those that others share", () => {
    const device = target.device()
    const given = Object.fromEntries(
      ["theta", "gradient", "m", "v"].map((name, site) => [name, random(site, [5, 7])]),
    ) as Readonly<Record<"theta" | "gradient" | "m" | "v", tf.Tensor>>
    const shared = given.theta.clone()
    const [before, values] = [tf.memory().numTensors, given.theta.dataSync().slice()]
    const { adamw } = device
    device.adamw = () => {
      throw new RangeError("out of GPU memory")
    }
    const norm = tf.scalar(1)
    try {
      expect(() => updated(given, 0, norm)).toThrow("out of GPU memory")
    } finally {
      device.adamw = adamw
      norm.dispose()
    }
    expect(tf.memory().numTensors).toBe(before)
    expect(given.theta.isDisposed).toBe(false)
    const next = updated(given)
    expect(shared.dataSync()).toEqual(values)
    expect(next.theta.dataSync()).not.toEqual(values)
    expect(given.theta.isDisposed).toBe(true)
    tf.dispose([shared, given.gradient, next.theta, next.m, next.v])
  })

  test("agree with the definition", () => {
    tf.tidy(() => {
      const ids = Int32Array.of(3, 49, 3, 0, 3)
      const x = random<tf.Tensor2D>(1, [5, 7])
      expect(
        deviation(
          scatterAddRowsKernel(x, ids, 50).dataSync(),
          scatterAddRowsKernel.definition(x, ids, 50).dataSync(),
        ),
      ).toBeLessThan(1e-6)
      expect(() => scatterAddRowsKernel(x, Int32Array.of(0, 1, 2, 3, 50), 50)).toThrow(
        "of a table of 50 rows",
      )
      const none = scatterAddRowsKernel(tf.zeros([0, 7]), new Int32Array(), 50)
      expect(none.dataSync().every((value) => value === 0)).toBe(true)
    })
  })

  test.each([
    ["no weight decay", () => 0],
    ["weight decay", () => 0.01],
    // As at a learning rate of 0: the moments of other rows than the marked ones are not zero any more.
    ["weight decay in some updates", (step: number) => (step % 3 === 1 ? 0.01 : 0)],
  ])("AdamW with %s updates the table to the same bits as with the dense gradient", (_, decayIn) => {
    const device = target.device()
    const bytes = device.bytesInUse()
    const state = () => {
      const zero = () => tf.zeros<tf.Rank.R2>(shape)
      return { theta: random<tf.Tensor>(9, shape), m: zero() as tf.Tensor, v: zero() as tf.Tensor }
    }
    let [sparse, dense] = [state(), state()]
    // The rows change, so that the moments of rows without a gradient decay.
    const steps = [[3, 7, 3], [7, 49], [], [0, 3], [20], [20, 21, 22, 7]]
    for (const [step, rows] of steps.entries()) {
      const ids = Int32Array.from(rows)
      const x = random<tf.Tensor2D>(step, [rows.length, 7])
      const gradient = scatterAddRowsKernel(x, ids, 50)
      const values = tf.tidy(() => scatterAddRowsKernel(x, ids, 50).dataSync<"float32">())
      const whole = tf.tensor2d(values, shape)
      expect(normOf([gradient])).toBe(normOf([whole]))
      const decay = decayIn(step)
      sparse = updated({ ...sparse, gradient }, decay)
      dense = updated({ ...dense, gradient: whole }, decay)
      for (const part of ["theta", "m", "v"] as const) {
        expect(sparse[part].dataSync()).toEqual(dense[part].dataSync())
      }
      if (step === 3) {
        // As when training is resumed: which rows ever had a gradient follows from the moments.
        const values = sparse.m.dataSync()
        sparse.m.dispose()
        sparse.m = tf.tensor(values, shape)
      }
      tf.dispose([x, gradient, whole])
    }
    tf.dispose([sparse, dense])
    // The marks too.
    expect(device.bytesInUse()).toBe(bytes)
  })

  test("leave the table as it is, and unmarked, if the norm is not finite", () => {
    const zero = () => tf.zeros<tf.Rank.R2>(shape)
    const start = { theta: random<tf.Tensor>(9, shape), m: zero(), v: zero() }
    const gradient = scatterAddRowsKernel(random(1, [2, 7]), Int32Array.of(3, 4), 50)
    const values = start.theta.dataSync()
    const same = updated({ ...start, gradient }, 0, tf.scalar(Number.NaN))
    expect(same.theta.dataSync()).toEqual(values)
    expect(same.m.dataSync().every((value) => value === 0)).toBe(true)
    const other = scatterAddRowsKernel(random(2, [1, 7]), Int32Array.of(8), 50)
    const moved = updated({ ...same, gradient: other }).theta.dataSync()
    const rows = [...Array(50).keys()].filter((row) =>
      moved.subarray(row * 7, row * 7 + 7).some((value, i) => value !== values[row * 7 + i]),
    )
    expect(rows).toEqual([8])
  })

  test("a table whose data other tensors share is not changed in place", () => {
    const theta = random<tf.Tensor>(1, [3])
    const seen = theta.clone()
    const before = seen.dataSync()
    const next = updated({ theta, gradient: tf.ones([3]), m: tf.zeros([3]), v: tf.zeros([3]) })
    expect(seen.dataSync()).toEqual(before)
    expect(next.theta.dataSync()).not.toEqual(before)
  })

  test("are added to dense gradients of the same table", () => {
    tf.tidy(() => {
      const table = random<tf.Tensor2D>(1, shape)
      const ids = Int32Array.of(4, 4, 11)
      const loss = (t: tf.Tensor) => {
        const rows = embedding(t.as2D(...shape), ids)
        return tf.sum(tf.add(tf.sum(tf.square(t)), tf.sum(rows)))
      }
      const found = tf.grad(loss)(table).dataSync()
      const expected = noise(1, 350).map(
        (value, i) => 2 * value + [4, 4, 11].filter((id) => id === Math.floor(i / 7)).length,
      )
      expect(deviation(found, expected)).toBeLessThan(1e-6)
    })
  })
})
