import type { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu"
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm"
import * as tf from "@tensorflow/tfjs-core"

/**
 * The memory of tensors whose backend keeps them in host memory: tfjs's `cpu` (typed arrays) and `wasm` (its heap).
 */

const isWasm = (backend: tf.KernelBackend): backend is BackendWasm => "typedArrayFromHeap" in backend
const isCpu = (backend: tf.KernelBackend): backend is MathBackendCPU => "data" in backend

const hostBackend = (): BackendWasm | MathBackendCPU => {
  const backend = tf.backend()
  if (isWasm(backend) || isCpu(backend)) return backend
  throw new Error(
    `expected the backend cpu or wasm, whose tensors are in host memory, found ${tf.getBackend()}`,
  )
}

/** A new float32 tensor, not initialised. */
export const allocate = <T extends tf.Tensor>(shape: number[]): T => {
  const backend = hostBackend()
  const info = isWasm(backend)
    ? backend.makeOutput(shape, "float32")
    : backend.makeTensorInfo(shape, "float32", new Float32Array(tf.util.sizeFromShape(shape)))
  return tf.engine().makeTensorFromTensorInfo(info) as T
}

/**
 * A float32 tensor's own memory. The wasm heap may move when it grows: allocate first, view afterwards, and drop all
 * views before the next op.
 */
export const view = (tensor: tf.Tensor): Float32Array => {
  const backend = hostBackend()
  const values = isWasm(backend) ? backend.typedArrayFromHeap(tensor) : backend.data.get(tensor.dataId).values
  if (values instanceof Float32Array) return values
  // tfjs's cpu backend casts integers to float32 without touching their array.
  if (values instanceof Int32Array || values instanceof Uint8Array) return Float32Array.from(values)
  throw new TypeError(`expected a float32 tensor, found ${tensor.dtype}`)
}
