import { beforeAll, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../../core/tensor/backend.ts"
import { cpu } from "../../../../plugins/backend/cpu.ts"
import { noise } from "../../../core/tensor/against-float64.ts"
import { deviation, onEveryDevice } from "./devices.ts"

type Op = (x: tf.Tensor2D, y: tf.Tensor2D) => tf.Tensor

const square = (x: tf.Tensor2D): tf.Tensor2D => tf.matMul(x, x, false, true)
const row = (x: tf.Tensor2D): tf.Tensor1D => tf.squeeze(tf.slice(x, [0, 0], [1, -1]))

/** Ops with a gradient with respect to both inputs, [5, 17] of normally distributed numbers. */
const differentiable: Readonly<Record<string, Op>> = {
  add: tf.add,
  "add a row": (x, y) => tf.add(x, row(y)),
  "add a column": (x, y) => tf.add(x, tf.sum(y, 1, true)),
  "add a number": (x, y) => tf.add(x, tf.sum(y)),
  sub: tf.sub,
  "sub from a row": (x, y) => tf.sub(row(x), y),
  mul: tf.mul,
  "sub a column": (x, y) => tf.sub(x, tf.sum(y, 1, true)),
  "mul by a row": (x, y) => tf.mul(x, row(y)),
  "mul of a row": (x, y) => tf.mul(row(x), y),
  "mul by a column": (x, y) => tf.mul(x, tf.sum(y, 1, true)),
  "mul of a column by a row": (x, y) => tf.mul(tf.sum(x, 1, true), row(y)),
  "div by a column": (x, y) => tf.div(x, tf.add(tf.sum(tf.square(y), 1, true), 1)),
  div: (x, y) => tf.div(x, tf.add(tf.square(y), 1)),
  maximum: tf.maximum,
  minimum: tf.minimum,
  pow: (x, y) => tf.pow(tf.add(tf.abs(x), 1), y),
  matMul: (x, y) => tf.matMul(x, y, false, true),
  "matMul, transposed": (x, y) => tf.matMul(x, y, true, false),
  "matMul of batches": (x, y) => tf.matMul(tf.reshape(x, [5, 1, 17]), tf.reshape(y, [5, 17, 1])),
  "fused matMul": (x, y) =>
    tf.fused.matMul({ a: x, b: y, transposeB: true, bias: tf.ones([5]), activation: "relu" }),
  concat: (x, y) => tf.concat([x, y], 1),
  stack: (x, y) => tf.stack([x, y]),
  squaredDifference: tf.squaredDifference,
  dot: (x, y) => tf.dot(row(x), row(y)),
  exp: tf.exp,
  log: (x) => tf.log(tf.add(tf.abs(x), 1)),
  sqrt: (x) => tf.sqrt(tf.add(tf.abs(x), 1)),
  rsqrt: (x) => tf.rsqrt(tf.add(tf.abs(x), 1)),
  tanh: tf.tanh,
  sigmoid: tf.sigmoid,
  relu: tf.relu,
  elu: tf.elu,
  selu: tf.selu,
  softplus: tf.softplus,
  erf: tf.erf,
  sin: tf.sin,
  cos: tf.cos,
  square: tf.square,
  neg: tf.neg,
  clipByValue: (x) => tf.clipByValue(x, -0.5, 0.5),
  sum: (x) => tf.sum(x, 0),
  mean: (x) => tf.mean(x, 1),
  max: (x) => tf.max(x, 1),
  min: (x) => tf.min(x, 0),
  prod: (x) => tf.prod(x, 1),
  logSumExp: (x) => tf.logSumExp(x, 1),
  softmax: (x) => tf.softmax(x),
  logSoftmax: (x) => tf.logSoftmax(x),
  cumsum: (x) => tf.cumsum(x, 1),
  transpose: (x) => tf.transpose(x),
  "transpose of three dimensions": (x) => tf.transpose(tf.stack([x, tf.square(x)]), [2, 0, 1]),
  "transpose of four dimensions": (x) => tf.transpose(tf.tile(x, [4, 1]).as4D(2, 5, 2, 17), [2, 0, 3, 1]),
  reshape: (x) => tf.mul(tf.reshape(x, [17, 5]), 2),
  slice: (x) => tf.slice(x, [1, 2], [3, 10]),
  gather: (x) => tf.gather(x, tf.tensor1d([4, 0, 4], "int32")),
  tile: (x) => tf.tile(x, [2, 3]),
  pad: (x) =>
    tf.pad(x, [
      [1, 2],
      [0, 1],
    ]),
  reverse: (x) => tf.reverse(x, 1),
  split: (x) => tf.split(x, [2, 3], 0)[1]!,
  unstack: (x) => tf.unstack(x)[3]!,
  expandDims: (x) => tf.mul(tf.expandDims(x, 1), 3),
  clone: (x) => tf.mul(x.clone(), x),
  conv1d: (x) => tf.conv1d(x.as3D(1, 17, 5), tf.ones<tf.Rank.R3>([3, 5, 2]), 1, "same"),
  conv2d: (x) => tf.conv2d(tf.tile(x, [4, 1]).as4D(1, 20, 17, 1), tf.ones([3, 3, 1, 2]), 1, "valid"),
  maxPool: (x) => tf.maxPool(x.as4D(1, 5, 17, 1), 2, 1, "valid"),
  avgPool: (x) => tf.avgPool(x.as4D(1, 5, 17, 1), 2, 1, "valid"),
  norm: (x) => tf.norm(x),
}

/** Ops without a gradient in tfjs, or of types other than float32. */
const others: Readonly<Record<string, Op>> = {
  "matMul with a shared factor": (x, y) => tf.matMul(tf.reshape(x, [5, 1, 17]), tf.reshape(y, [1, 17, 5])),
  where: (x, y) => tf.where(tf.greater(x, y), x, y),
  cast: (x) => tf.mul(x, tf.cast(tf.greater(x, 0), "float32")),
  argMax: (x) => tf.argMax(x, 1),
  argMin: (x) => tf.argMin(x, 0),
  equal: (x, y) => tf.equal(tf.round(x), tf.round(y)),
  "logical and": (x, y) => tf.logicalAnd(tf.greater(x, 0), tf.less(y, 0)),
  any: (x) => tf.any(tf.greater(x, 1), 1),
  "sums of booleans": (x) => tf.sum(tf.greater(x, 0)),
  "int32 arithmetic": (x) => tf.add(tf.cast(tf.round(tf.mul(x, 10)), "int32"), tf.scalar(3, "int32")),
  "int32 as float32": (x) => tf.mul(tf.cast(tf.cast(tf.mul(x, 10), "int32"), "float32"), x),
  "int32 in a product": (x) => tf.matMul(x, tf.cast(tf.cast(tf.mul(x, 10), "int32"), "float32"), false, true),
  "booleans as int32": (x) => tf.cast(tf.greater(x, 0), "int32"),
  floor: tf.floor,
  sign: tf.sign,
  topk: (x) => tf.topk(x, 3).values,
  oneHot: () => tf.oneHot(tf.tensor1d([1, 0, 3], "int32"), 5),
  range: () => tf.range(0, 9, 2),
  linspace: () => tf.linspace(0, 1, 7),
  eye: () => tf.eye(4),
  fill: () => tf.fill([3, 2], 2.5),
  scatterND: (x) =>
    tf.scatterND(tf.tensor2d([[1], [4]], [2, 1], "int32"), tf.slice(x, [0, 0], [2, 17]), [6, 17]),
  gatherND: (x) =>
    tf.gatherND(
      x,
      tf.tensor2d(
        [
          [1, 2],
          [4, 0],
        ],
        [2, 2],
        "int32",
      ),
    ),
  unique: () => tf.unique(tf.tensor1d([3, 1, 3, 2], "int32")).values,
  booleanMask: (x) => tf.mul(x, tf.greaterEqual(x, 0)),
  complex: (x, y) => tf.real(tf.mul(tf.complex(x, y), tf.complex(y, x))),
  fft: (x, y) => tf.imag(tf.spectral.fft(tf.complex(x, y))),
  "band part": (x) => tf.linalg.bandPart(x, 1, 1),
  qr: (x) => tf.abs(tf.linalg.qr(square(x))[1]!),
  "in top k": (x) => tf.topk(tf.reshape(x, [85]), 5).indices,
  "resize bilinear": (x) => tf.image.resizeBilinear(x.as3D(5, 17, 1), [7, 9]),
  "random numbers from a seed": () => tf.randomNormal([9], 0, 1, "float32", 7),
  nothing: () => tf.zeros([0, 4]),
}

const inputs = () => [1, 2].map((site) => tf.tensor2d(noise(site, 85), [5, 17])) as [tf.Tensor2D, tf.Tensor2D]

const evaluate = (op: Op): number[] => tf.tidy(() => Array.from(op(...inputs()).dataSync()))

const gradients = (op: Op): number[] =>
  tf.tidy(() => {
    const [x, y] = inputs()
    const weighted = (a: tf.Tensor2D, b: tf.Tensor2D): tf.Scalar => {
      const out = op(a, b)
      return tf.sum(tf.mul(out, tf.tensor(noise(3, out.size), out.shape)))
    }
    // Adding 0 · y makes every op depend on y, so that its gradient exists.
    const loss = (a: tf.Tensor2D, b: tf.Tensor2D): tf.Scalar => tf.add(weighted(a, b), tf.sum(tf.mul(b, 0)))
    return tf
      .grads(loss as (...args: tf.Tensor[]) => tf.Scalar)([x, y])
      .flatMap((g) => Array.from(g.dataSync()))
  })

const on = (backend: string, compute: () => number[]): number[] => {
  tf.setBackend(backend)
  const before = tf.memory().numTensors
  const found = compute()
  expect(tf.memory().numTensors).toBe(before)
  return found
}

beforeAll(() => Effect.runPromise(startBackend(cpu)))

onEveryDevice("tfjs", ({ name }) => {
  test.each(Object.entries({ ...differentiable, ...others }))("%s as on cpu", (_name, op) => {
    expect(
      deviation(
        on(name, () => evaluate(op)),
        on("cpu", () => evaluate(op)),
      ),
    ).toBeLessThan(1e-5)
  })

  test.each(Object.entries(differentiable))("the gradient of %s as on cpu", (_name, op) => {
    expect(
      deviation(
        on(name, () => gradients(op)),
        on("cpu", () => gradients(op)),
      ),
    ).toBeLessThan(1e-5)
  })

  test("has every kernel of the cpu backend", () => {
    const names = (backend: string) =>
      tf
        .getKernelsForBackend(backend)
        .map(({ kernelName }) => kernelName)
        .sort()
    expect(names(name)).toEqual(names("cpu"))
  })

  test("strings stay strings", () => {
    tf.setBackend(name)
    tf.tidy(() => {
      expect(tf.tensor1d(["a", "β"]).dataSync()).toEqual(["a", "β"] as never)
    })
  })

  test("tensors move from backend to backend", () => {
    tf.setBackend("cpu")
    const x = tf.tensor1d([1, 2, 3])
    tf.setBackend(name)
    const y = tf.tidy(() => tf.mul(x, x))
    tf.setBackend("cpu")
    expect([...tf.tidy(() => tf.add(y, x)).dataSync()]).toEqual([2, 6, 12])
    tf.dispose([x, y])
  })
})
