/** tfjs's own kernels on the device: some as kernels of the device, all others as tfjs's cpu kernels on its memory. */
import * as tf from "@tensorflow/tfjs-core"
import type { DeviceBackend } from "./backend.ts"

/** A kernel of the device; undefined if it does not support such inputs. */
type DeviceKernel = (call: {
  readonly inputs: tf.NamedTensorInfoMap
  readonly attrs: tf.NamedAttrMap
  readonly backend: DeviceBackend
}) => tf.TensorInfo | undefined

const isFloat = (...tensors: readonly (tf.TensorInfo | undefined)[]): boolean =>
  tensors.every((tensor) => tensor?.dtype === "float32")

const sizeOf = ({ shape }: tf.TensorInfo): number => tf.util.sizeFromShape(shape)

/** Whether `b` broadcasts to `a` by plain repetition: but for leading ones, its shape is the end of `a`'s. */
const repeats = (a: tf.TensorInfo, b: tf.TensorInfo): boolean => {
  const shape = b.shape.slice(b.shape.findIndex((size) => size !== 1))
  const inner = sizeOf(b) === 1 ? [] : shape
  return (
    inner.length <= a.shape.length &&
    inner.every((size, i) => size === a.shape[a.shape.length - inner.length + i]) &&
    b.shape.length <= a.shape.length
  )
}

const elementwise =
  (name: "add" | "subtract" | "multiply"): DeviceKernel =>
  ({ inputs, backend }) => {
    const { a, b } = inputs
    if (a === undefined || b === undefined || !isFloat(a, b) || sizeOf(a) === 0) return undefined
    if (!repeats(a, b)) {
      if (name !== "subtract" && sizeOf(b) > 0 && repeats(b, a)) {
        return elementwise(name)({ inputs: { a: b, b: a }, attrs: {}, backend })
      }
      return byRow(backend, a, b, operations[name])
    }
    return backend.filled(a.shape, (out) =>
      backend.device[name](backend.floats(a), backend.floats(b), backend.floats(out)),
    )
  }

const operations = {
  add: (x: number, y: number) => x + y,
  subtract: (x: number, y: number) => x - y,
  multiply: (x: number, y: number) => x * y,
  divide: (x: number, y: number) => x / y,
}

/**
 * An operation of each row of `a` with one number of `b`, whose last dimension is 1: tfjs's own kernels find the place of
 * every element anew. Of two float32 numbers, all four operations have the same bits in float64, rounded.
 */
const byRow = (
  backend: DeviceBackend,
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  operation: (x: number, y: number) => number,
): tf.TensorInfo | undefined => {
  const width = a.shape.at(-1) ?? 1
  const rows = b.shape.length === a.shape.length && b.shape.at(-1) === 1
  if (!rows || !tf.util.arraysEqual(a.shape.slice(0, -1), b.shape.slice(0, -1))) return undefined
  return backend.filled(a.shape, (out) => {
    const [x, y, z] = [a, b, out].map((tensor) => backend.dataOf(tensor).values as Float32Array)
    for (let at = 0, row = 0; at < x!.length; row++) {
      const other = y![row]!
      for (const end = at + width; at < end; at++) z![at] = operation(x![at]!, other)
    }
  })
}

/** A transpose of up to four dimensions, whose innermost loop steps through both arrays by fixed strides. */
const transposed = (backend: DeviceBackend, x: tf.TensorInfo, perm: readonly number[]): tf.TensorInfo => {
  const strides = x.shape.map((_, axis) => tf.util.sizeFromShape(x.shape.slice(axis + 1)))
  const padding = Array<number>(4 - perm.length).fill(1)
  const shape = perm.map((axis) => x.shape[axis]!)
  const [d0, d1, d2, d3] = [...padding, ...shape] as [number, number, number, number]
  const [s0, s1, s2, s3] = [...padding, ...perm.map((axis) => strides[axis]!)] as [
    number,
    number,
    number,
    number,
  ]
  return backend.filled(shape, (out) => {
    const [from, to] = [x, out].map((tensor) => backend.dataOf(tensor).values as Float32Array)
    let at = 0
    for (let i = 0; i < d0; i++) {
      for (let j = 0; j < d1; j++) {
        for (let k = 0; k < d2; k++) {
          const start = i * s0 + j * s1 + k * s2
          for (let l = 0; l < d3; l++) to![at++] = from![start + l * s3]!
        }
      }
    }
  })
}

/**
 * The product of two tensors with leading batch dimensions: the same for both, or one matrix for the whole batch.
 *
 * @param bias added to each row
 */
const product = (
  backend: DeviceBackend,
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  transposeA: boolean,
  transposeB: boolean,
  bias?: tf.TensorInfo,
): tf.TensorInfo | undefined => {
  const [batchA, batchB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)]
  const [sizeA, sizeB] = [batchA, batchB].map((shape) => tf.util.sizeFromShape(shape)) as [number, number]
  if (!tf.util.arraysEqual(batchA, batchB) && sizeA !== 1 && sizeB !== 1) return undefined
  const [rowsA, columnsA] = a.shape.slice(-2) as [number, number]
  const [rowsB, columnsB] = b.shape.slice(-2) as [number, number]
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA]
  const n = transposeB ? rowsB : columnsB
  const shape = [...(batchA.length > batchB.length || sizeA > sizeB ? batchA : batchB), m, n]
  return backend.filled(shape, (out) => {
    const c = backend.floats(out)
    backend.device.matmul(
      backend.floats(a),
      backend.floats(b),
      c,
      Math.max(sizeA, sizeB),
      m,
      n,
      k,
      transposeA,
      transposeB,
      backend.precision,
    )
    if (bias !== undefined && sizeOf(out) > 0) backend.device.add(c, backend.floats(bias), c)
  })
}

const ofDevice: Readonly<Record<string, DeviceKernel>> = {
  BatchMatMul: ({ inputs: { a, b }, attrs, backend }) => {
    if (a === undefined || b === undefined || !isFloat(a, b)) return undefined
    return product(backend, a, b, attrs.transposeA === true, attrs.transposeB === true)
  },
  _FusedMatMul: ({ inputs: { a, b, bias }, attrs, backend }) => {
    const linear =
      attrs.activation === undefined || attrs.activation === null || attrs.activation === "linear"
    if (a === undefined || b === undefined || !isFloat(a, b) || !linear) return undefined
    if (bias !== undefined && (!isFloat(bias) || sizeOf(bias) !== bias.shape.at(-1))) return undefined
    return product(backend, a, b, attrs.transposeA === true, attrs.transposeB === true, bias)
  },
  Fill: ({ attrs, backend }) => {
    const { shape, value, dtype } = attrs as { shape: number[]; value: number | string; dtype?: tf.DataType }
    if (typeof value !== "number" || (dtype !== undefined && dtype !== "float32")) return undefined
    return backend.filled(shape, (out) => backend.device.fill(backend.floats(out), value))
  },
  ZerosLike: ({ inputs: { x }, backend }) =>
    x === undefined || !isFloat(x)
      ? undefined
      : backend.filled(x.shape, (out) => backend.device.fill(backend.floats(out), 0)),
  Transpose: ({ inputs: { x }, attrs, backend }) => {
    const { perm } = attrs as { perm: number[] }
    if (x === undefined || !isFloat(x) || x.shape.length < 2 || x.shape.length > 4) return undefined
    if (x.shape.length > 2) return transposed(backend, x, perm)
    if (perm[0] !== 1) return undefined
    const [rows, columns] = x.shape as [number, number]
    return backend.filled([columns, rows], (out) =>
      backend.device.transpose(backend.floats(x), backend.floats(out), rows),
    )
  },
  Add: elementwise("add"),
  Sub: elementwise("subtract"),
  Multiply: elementwise("multiply"),
  RealDiv: ({ inputs: { a, b }, backend }) =>
    a === undefined || b === undefined || !isFloat(a, b)
      ? undefined
      : byRow(backend, a, b, operations.divide),
  /** Converts the values; tfjs's own kernel would relabel the integers' data as float32. */
  Cast: ({ inputs: { x }, attrs, backend }) => {
    const dtype = (["float32", "int32"] as const).find((type) => type === attrs.dtype)
    if (x === undefined || dtype === undefined) return undefined
    if (x.dtype === dtype || (x.dtype !== "int32" && x.dtype !== "bool")) return undefined
    return backend.makeTensorInfo(x.shape, dtype, backend.dataOf(x).values)
  },
}

/** Registers every kernel of the cpu backend under the name `backendName`; the device's own are tried first. */
export const registerDeviceKernels = (backendName: string): void => {
  for (const config of tf.getKernelsForBackend("cpu")) {
    const { kernelName, kernelFunc: inJavaScript } = config
    const onDevice = ofDevice[kernelName]
    const kernelFunc: tf.KernelFunc =
      onDevice === undefined
        ? inJavaScript
        : (call) =>
            onDevice({
              inputs: call.inputs,
              attrs: call.attrs ?? {},
              // tfjs declares the backend of a kernel as an empty object.
              backend: call.backend as DeviceBackend,
            }) ?? inJavaScript(call)
    tf.registerKernel({ ...config, backendName, kernelFunc })
  }
}
