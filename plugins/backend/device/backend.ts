/** The tfjs backend over a device: tensors own its buffers, and release them when they are disposed of. */
import { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import {
  arrays,
  type Device,
  type Elements,
  type ElementType,
  type Handle,
  type PrecisionNumber,
  precisionNumbers,
} from "./device.ts"

/** A matrix that is zero except in some rows, such as the gradient of an embedding table. */
export interface SparseRows {
  /** The indices of these rows, distinct and ascending: [U]. */
  readonly ids: Int32Array
  /** Their values, [U, H]. */
  readonly rows: Handle
  readonly width: number
}

const elementType = (dtype: tf.DataType): ElementType | undefined =>
  dtype === "float32" || dtype === "int32" || dtype === "bool" ? dtype : undefined

/** Numbers of a tensor whose values wait in host memory, as the next kernel may be one of tfjs's own. */
const largestInHostMemory = 2 ** 16

/**
 * A tensor's data: a buffer of the device or, until all of it is needed, only the rows that are not zero.
 *
 * tfjs's own JavaScript kernels read and write values in host memory. On a device whose memory is not the host's they
 * get an array, which from then on has the values; the next kernel of the device that asks for the buffer makes it up to
 * date again. The values of a new tensor stay in such an array until then, unless it is large, as a weight is.
 */
export class DeviceData {
  refCount = 1
  /** The parts of complex numbers, which have no buffer of their own. */
  complexTensorInfos?: { real: tf.TensorInfo; imag: tf.TensorInfo }
  #activeRows: Handle | undefined
  #handle: Handle | undefined
  #floats: Handle | undefined
  /** The buffer itself, if its memory is the host's. */
  #view: Elements | undefined
  /** The values, if they are newer than the buffer's. */
  #array: Elements | undefined

  constructor(
    private readonly device: Device,
    readonly dtype: tf.DataType,
    readonly size: number,
    /** Strings, which stay in host memory. */
    private readonly text?: Uint8Array[],
    readonly sparse?: SparseRows,
  ) {}

  /** Its element type. @throws TypeError for strings and complex numbers, which no kernel of the device accepts */
  private get type(): ElementType {
    const type = elementType(this.dtype)
    if (type === undefined)
      throw new TypeError(`expected a tensor of numbers, found ${this.dtype}, which has no buffer`)
    return type
  }

  /** Its buffer. @throws TypeError for strings and complex numbers, which no kernel of the device accepts */
  get handle(): Handle {
    if (this.#handle === undefined) {
      const { sparse } = this
      this.#handle =
        sparse === undefined
          ? this.device.allocate(this.type, this.size)
          : filled(this.device, this.type, this.size, (handle) =>
              this.device.spreadRows(sparse.rows, sparse.ids, handle),
            )
    }
    if (this.#array !== undefined) {
      this.device.write(this.#handle, this.#array)
      this.#array = undefined
    }
    return this.#handle
  }

  /** Its buffer as float32: tfjs's own kernels relabel integers as float32 without converting them. */
  get floats(): Handle {
    if (this.dtype === "float32") return this.handle
    this.#floats ??= this.device.allocate("float32", this.size)
    this.device.write(this.#floats, Float32Array.from(this.read() as Elements))
    return this.#floats
  }

  /** The values in host memory, which tfjs's JavaScript kernels read and write. */
  get values(): tf.backend_util.BackendValues {
    if (this.text !== undefined) return this.text
    if (this.device.view !== undefined) {
      this.#view ??= this.device.view(this.handle, this.type, this.size)
      return this.#view
    }
    this.#array ??=
      this.#handle === undefined && this.sparse === undefined
        ? new arrays[this.type](this.size)
        : this.device.read(this.handle, this.type, this.size)
    return this.#array
  }

  /** Sets the values of new data; the array is not kept. */
  write(values: tf.backend_util.BackendValues): void {
    const elements = elementsOf(values, this.type)
    if (this.device.view !== undefined || this.size > largestInHostMemory) {
      this.#handle = filled(this.device, this.type, this.size, (handle) =>
        this.device.write(handle, elements),
      )
    } else this.#array = elements === values ? elements.slice() : elements
  }

  /** A copy of the values. */
  read(): tf.backend_util.BackendValues {
    if (this.text !== undefined) return this.text
    if (this.device.view !== undefined || this.#array !== undefined) return (this.values as Elements).slice()
    return this.device.read(this.handle, this.type, this.size)
  }

  /** The values, to be read before the next kernel or borrowing: not a copy if the memory is the host's. */
  borrow(): tf.backend_util.BackendValues {
    if (this.device.borrow === undefined || this.#array !== undefined) return this.values
    return this.device.borrow(this.handle, this.type, this.size)
  }

  /**
   * For an optimiser's moment of a table: a bool buffer, 1 for rows that ever had a gradient, [V]. It is released with
   * the data, or when another is set.
   */
  get activeRows(): Handle | undefined {
    return this.#activeRows
  }
  set activeRows(rows: Handle | undefined) {
    if (this.#activeRows !== undefined) this.device.release(this.#activeRows)
    this.#activeRows = rows
  }

  release(): void {
    for (const handle of [this.#handle, this.#floats, this.sparse?.rows, this.#activeRows]) {
      if (handle !== undefined) this.device.release(handle)
    }
  }
}

/** A new buffer that `fill` writes, which is released again if that fails. */
export const filled = (
  device: Device,
  type: ElementType | "float64",
  size: number,
  fill: (handle: Handle) => void,
): Handle => {
  const handle = device.allocate(type, size)
  try {
    fill(handle)
  } catch (error) {
    device.release(handle)
    throw error
  }
  return handle
}

/** The values as an array of the element type. */
const elementsOf = (values: tf.backend_util.BackendValues, type: ElementType): Elements => {
  const numbers = values as Elements
  if (type === "float32") return numbers instanceof Float32Array ? numbers : Float32Array.from(numbers)
  if (type === "int32") return numbers instanceof Int32Array ? numbers : Int32Array.from(numbers)
  return numbers instanceof Uint8Array ? numbers : Uint8Array.from(numbers)
}

/** tfjs's cpu backend with its numbers in the device's memory, so that tfjs's cpu kernels run on it. */
export class DeviceBackend<D extends Device = Device> extends MathBackendCPU {
  precision: PrecisionNumber = precisionNumbers.fp32
  readonly #data: tf.DataStorage<DeviceData>

  constructor(readonly device: D) {
    super()
    this.#data = new tf.DataStorage(this, tf.engine())
    this.data = this.#data
  }

  /** A tensor's data, which tfjs moves here from another backend. @throws TypeError if it was disposed of */
  dataOf({ dataId }: tf.TensorInfo): DeviceData {
    try {
      return this.#data.get(dataId)
    } catch (cause) {
      throw new TypeError("expected a live tensor, found one that was disposed of", { cause })
    }
  }

  /** The buffer of a float32 tensor. @throws TypeError for a tensor of another type */
  floats(tensor: tf.TensorInfo): Handle {
    if (tensor.dtype !== "float32") throw new TypeError(`expected a float32 tensor, found ${tensor.dtype}`)
    return this.dataOf(tensor).floats
  }

  /** Registers new data, for a tensor that does not share it. */
  private keep(data: DeviceData, shape: readonly number[]): tf.TensorInfo {
    const dataId = {}
    this.#data.set(dataId, data)
    return { dataId, shape: [...shape], dtype: data.dtype }
  }

  /** A new float32 tensor, not initialised. */
  allocate(shape: readonly number[]): tf.TensorInfo {
    return this.keep(new DeviceData(this.device, "float32", tf.util.sizeFromShape([...shape])), shape)
  }

  /** A new float32 tensor that `fill` writes, which is disposed of again if that fails. */
  filled(shape: readonly number[], fill: (out: tf.TensorInfo) => void): tf.TensorInfo {
    const out = this.allocate(shape)
    try {
      fill(out)
    } catch (error) {
      this.disposeData(out.dataId)
      throw error
    }
    return out
  }

  /** A new matrix that is zero except in some rows; it takes ownership of them. */
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
    // tfjs passes no values for tensors that its kernels fill in.
    if (type !== undefined && values != null) data.write(values)
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

  /** tfjs's counts are reliable here; `numBytesOnDevice` is the size of the buffers with padding. */
  override memory(): { unreliable: boolean; reasons: string[]; numBytesOnDevice: number } {
    return { unreliable: false, reasons: [], numBytesOnDevice: this.device.bytesInUse() }
  }
}
