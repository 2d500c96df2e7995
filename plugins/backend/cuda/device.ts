/** A GPU: its kernels run behind the caller, and its memory is reached by copies. */
import {
  type Addon,
  arrays,
  type Device,
  type Elements,
  type Handle,
  loadAddon,
  type PrecisionNumber,
  typeNumbers,
} from "../device/device.ts"

/** What the CUDA addon exports beside the kernels. */
export interface CudaAddon extends Addon {
  /**
   * The first GPU that the driver shows this process: its name, capability (90 for 9.0), the CUDA version of the driver
   * (12040 for 12.4), its memory in bytes, the number of its multiprocessors, their clock in Hz, and the bandwidth of
   * its memory in bytes/s. Uses none of it.
   */
  find(
    library: string,
  ): readonly [
    name: string,
    capability: number,
    driver: number,
    memory: number,
    multiprocessors: number,
    clock: number,
    bandwidth: number,
  ]
  /** Begins to use the GPU that was found. */
  start(): void
  /** Ends what was started, once there are no tensors. */
  stop(): void
  /** Loads the kernels: PTX or a cubin. */
  load(image: Uint8Array): void
  /** Products by cuBLASLt from now on: its version. */
  openBlas(library: string): number
  /** cuBLASLt's version, as it numbers it. */
  blasVersion(library: string): number
  /** NVRTC's version, and the capabilities that it compiles for: [major, minor, …]. */
  compilerVersion(library: string): readonly number[]
  /** @param files names and texts by turns, the program first */
  compile(library: string, files: readonly string[], options: readonly string[], asCubin: boolean): Uint8Array
  /** How attention's products are rounded; all others are told with each call. */
  setPrecision(precision: PrecisionNumber): void
  read(handle: Handle, values: Elements): void
  /** How many kernels, products and copies were put into the stream so far; the most bytes that tensors have reserved. */
  counts(): readonly [queued: number, reserved: number]
  digests(tensors: Float64Array, digests: Float64Array): void
  /** Memory that begins with the values, until the next call of this function. */
  borrow(handle: Handle): ArrayBuffer
}

/** @param path of the built addon */
export const loadCudaAddon = (path: string): CudaAddon => loadAddon<CudaAddon>(path)

/** A GPU that computes. */
export interface Gpu extends Device {
  setPrecision(precision: PrecisionNumber): void
  counts(): readonly [queued: number, reserved: number]
}

/** The device of an addon that was started, and whose kernels were loaded. */
export const gpuOf = (addon: CudaAddon): Gpu => ({
  ...addon,
  allocate: (type, size) => addon.allocate(typeNumbers[type], size),
  read: (handle, type, size) => {
    const values = new arrays[type](size)
    addon.read(handle, values)
    return values
  },
  borrow: (handle, type, size) => new arrays[type](addon.borrow(handle), 0, size),
})
