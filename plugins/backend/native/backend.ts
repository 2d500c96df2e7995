/** The tfjs backend over a device: tensors own its buffers, and give them back when they are disposed of. */
import { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import type { Device, Elements, ElementType, Handle } from "./device.ts"

/** A matrix that is zero but for some rows: the gradient of an embedding table. */
export interface SparseRows {
  /** The rows that are given, all different, rising: [U]. */
  readonly ids: Int32Array
  /** Their values, [U, H]. */
  readonly rows: Handle
  readonly width: number
}

const elementType = (dtype: tf.DataType): ElementType | undefined =>
  dtype === "float32" || dtype === "int32" || dtype === "bool" ? dtype : undefined

/** A tensor's data: a buffer of the device, or, until somebody wants the whole of it, its rows that are not zero. */
export class DeviceData {
  refCount = 1
  /** Of complex numbers, which have no buffer of their own. */
  complexTensorInfos?: { real: tf.TensorInfo; imag: tf.TensorInfo }
  /** Of an optimiser's moment of a table: which rows ever had a gradient, [V]. */
  activeRows?: Uint8Array
  #handle: Handle | undefined
  #floats: Handle | undefined
  #view: Elements | undefined

  constructor(
    private readonly device: Device,
    readonly dtype: tf.DataType,
    readonly size: number,
    /** Text, which stays with the host. */
    private readonly text?: Uint8Array[],
    readonly sparse?: SparseRows,
  ) {}

  /** Its buffer. @throws TypeError for text and complex numbers, which no kernel of the device takes */
  get handle(): Handle {
    if (this.#handle === undefined) {
      const type = elementType(this.dtype)
      if (type === undefined) throw new TypeError(`a ${this.dtype} tensor has no buffer`)
      this.#handle = this.device.allocate(type, this.size)
      if (this.sparse !== undefined) {
        this.device.spreadRows(this.sparse.rows, this.sparse.ids, this.#handle)
      }
    }
    return this.#handle
  }

  /** Its buffer as float32: tfjs's own kernels give integers out as float32 without touching them. */
  get floats(): Handle {
    if (this.dtype === "float32") return this.handle
    this.#floats ??= this.device.allocate("float32", this.size)
    this.device.write(this.#floats, Float32Array.from(this.elements()))
    return this.#floats
  }

  /** What tfjs's kernels in JavaScript read and write: the buffer itself. */
  get values(): tf.backend_util.BackendValues {
    return this.text ?? this.elements()
  }

  /** A copy. */
  read(): tf.backend_util.BackendValues {
    return this.text ?? this.elements().slice()
  }

  private elements(): Elements {
    if (this.#view === undefined) {
      const type = elementType(this.dtype)
      if (type === undefined) throw new TypeError(`a ${this.dtype} tensor has no buffer`)
      this.#view = this.device.view(this.handle, type, this.size)
    }
    return this.#view
  }

  release(): void {
    for (const handle of [this.#handle, this.#floats, this.sparse?.rows]) {
      if (handle !== undefined) this.device.release(handle)
    }
  }
}

/** The values as an array of the type that the data have. */
const elementsOf = (values: tf.backend_util.BackendValues, type: ElementType): Elements => {
  const numbers = values as Elements
  if (type === "float32") return numbers instanceof Float32Array ? numbers : Float32Array.from(numbers)
  if (type === "int32") return numbers instanceof Int32Array ? numbers : Int32Array.from(numbers)
  return numbers instanceof Uint8Array ? numbers : Uint8Array.from(numbers)
}

/** tfjs's cpu kernels run on it: it is theirs but for where the numbers lie. */
export class DeviceBackend extends MathBackendCPU {
  /** Whether products of matrices are computed from numbers rounded to bfloat16, with float32 sums. */
  bfloat16 = false
  readonly #data: tf.DataStorage<DeviceData>

  constructor(readonly device: Device) {
    super()
    this.#data = new tf.DataStorage(this, tf.engine())
    this.data = this.#data
  }

  /** A tensor's data, which tfjs brings here from another backend. @throws TypeError where it was disposed of */
  dataOf({ dataId }: tf.TensorInfo): DeviceData {
    try {
      return this.#data.get(dataId)
    } catch (cause) {
      throw new TypeError("a tensor that was not disposed of was expected", { cause })
    }
  }

  /** The buffer of a float32 tensor. @throws TypeError for another one */
  floats(tensor: tf.TensorInfo): Handle {
    if (tensor.dtype !== "float32") throw new TypeError(`a ${tensor.dtype} tensor where float32 was expected`)
    return this.dataOf(tensor).floats
  }

  /** New data of its own, for a tensor that shares it with nobody. */
  private keep(data: DeviceData, shape: readonly number[]): tf.TensorInfo {
    const dataId = {}
    this.#data.set(dataId, data)
    return { dataId, shape: [...shape], dtype: data.dtype }
  }

  /** A new float32 tensor with whatever was in its memory. */
  allocate(shape: readonly number[]): tf.TensorInfo {
    return this.keep(new DeviceData(this.device, "float32", tf.util.sizeFromShape([...shape])), shape)
  }

  /** A new matrix that is zero but for some rows, which become its own. */
  allocateSparse(shape: readonly [number, number], sparse: SparseRows): tf.TensorInfo {
    return this.keep(new DeviceData(this.device, "float32", shape[0] * shape[1], undefined, sparse), shape)
  }

  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): object {
    const dataId = {}
    this.move(dataId, values, shape, dtype, 1)
    return dataId
  }

  override move(
    dataId: object,
    values: tf.backend_util.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    refCount: number,
  ): void {
    const size = tf.util.sizeFromShape(shape)
    const type = elementType(dtype)
    const data = new DeviceData(
      this.device,
      dtype,
      size,
      dtype === "string" ? (values as Uint8Array[]) : undefined,
    )
    data.refCount = refCount
    // tfjs makes tensors without values where its kernels fill them in.
    if (type !== undefined && values != null) this.device.write(data.handle, elementsOf(values, type))
    this.#data.set(dataId, data)
  }

  override readSync(dataId: object): tf.backend_util.BackendValues {
    const data = this.#data.get(dataId)
    if (data.complexTensorInfos !== undefined) return super.readSync(dataId)
    return data.read()
  }

  override disposeData(dataId: object, force = false): boolean {
    const data = this.#data.has(dataId) ? this.#data.get(dataId) : undefined
    const gone = super.disposeData(dataId, force)
    if (gone) data?.release()
    return gone
  }

  /** What tfjs counts is true here; `numBytesOnDevice` is what the buffers take with their rounding. */
  override memory(): { unreliable: boolean; reasons: string[]; numBytesOnDevice: number } {
    return { unreliable: false, reasons: [], numBytesOnDevice: this.device.bytesInUse() }
  }
}
