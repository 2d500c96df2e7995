/** A GPU: its kernels run behind the caller, and its memory is reached by copies. */
import { setImmediate, setTimeout } from "node:timers/promises"
import {
  type Addon,
  arrays,
  type Device,
  type Elements,
  type FloatsOnDevice,
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
  /**
   * How attention's products are rounded, and whether normalisations round what they write for the next product; all
   * other kernels are told with each call.
   */
  setPrecision(precision: PrecisionNumber): void
  read(handle: Handle, values: Elements | Float64Array): void
  /** How many kernels, products and copies were put into the stream so far; the most bytes that tensors have reserved. */
  counts(): readonly [queued: number, reserved: number]
  digests(tensors: Float64Array, digests: Handle): void
  /** What is transferred from now on is as all that was launched before leaves it. */
  startTransfer(): void
  /** One of the two windows, 0 or 1, whose memory is pinned. */
  window(index: number): ArrayBuffer
  /** Begins to fill a window with pieces of float32 tensors: [handle, first number, how many] of each. */
  fillWindow(index: number, pieces: Float64Array): void
  /** 1 once it is filled; does not wait. */
  isFilled(index: number): number
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

/** A window is filled in less than a millisecond, unless the computing before it has not ended. */
const turnsAtFirst = 20

/** Tensors in pieces that fill a window each, those of several small ones together. */
const piecesOf = (tensors: readonly FloatsOnDevice[], window: number): readonly (readonly number[])[] => {
  const pieces: number[][] = []
  let room = 0
  for (const { handle, size } of tensors) {
    for (let first = 0; first < size; ) {
      if (room === 0) {
        pieces.push([])
        room = window
      }
      const count = Math.min(room, size - first)
      pieces.at(-1)!.push(handle, first, count)
      first += count
      room -= count
    }
  }
  return pieces
}

/** One transfer at a time, since there are two windows: while one is read, the other is filled. */
const transferring = (addon: CudaAddon): NonNullable<Device["transfer"]> => {
  let last: Promise<void> = Promise.resolve()
  const filled = async (index: number) => {
    for (let asked = 0; addon.isFilled(index) === 0; asked++)
      await (asked < turnsAtFirst ? setImmediate() : setTimeout(1))
  }
  return async function* (tensorsOf) {
    const earlier = last
    let ended = () => {}
    last = new Promise((resolve) => {
      ended = resolve
    })
    await earlier
    try {
      const tensors = tensorsOf()
      addon.startTransfer()
      const windows = [0, 1].map((window) => new Float32Array(addon.window(window)))
      const pieces = piecesOf(tensors, windows[0]!.length)
      const begin = (piece: number) => {
        if (piece < pieces.length) addon.fillWindow(piece % 2, Float64Array.from(pieces[piece]!))
      }
      try {
        begin(0)
        for (const [i, piece] of pieces.entries()) {
          begin(i + 1)
          await filled(i % 2)
          let size = 0
          for (let part = 2; part < piece.length; part += 3) size += piece[part]!
          yield windows[i % 2]!.subarray(0, size)
        }
      } finally {
        // Their tensors may be released from now on.
        for (const window of [0, 1]) await filled(window).catch(() => {})
      }
    } finally {
      ended()
    }
  }
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
  readFloat64: (handle, size) => {
    const values = new Float64Array(size)
    addon.read(handle, values)
    return values
  },
  borrow: (handle, type, size) => new arrays[type](addon.borrow(handle), 0, size),
  transfer: transferring(addon),
})
