/** The processor: its memory is the host's, and its kernels have finished when they return. */
import {
  type Addon,
  arrays,
  type Device,
  type Elements,
  type ElementType,
  type Handle,
  loadAddon,
  typeNumbers,
} from "../device/device.ts"

export interface Processor extends Device {
  view(handle: Handle, type: ElementType, size: number): Elements
  setThreads(count: number): void
  /** The instruction set that it was built for, such as `AVX-512`. */
  readonly instructions: string
}

interface ProcessorAddon extends Addon {
  /** The ArrayBuffer of the region that contains a buffer, the region's index, and the buffer's offset in bytes. */
  region(handle: Handle): ArrayBuffer
  regionOf(handle: Handle): number
  offset(handle: Handle): number
  setThreads(count: number): void
  instructions(): string
}

/** @param path of the built addon */
export const openProcessor = (path: string): Processor => {
  const addon = loadAddon<ProcessorAddon>(path)
  const regions = new Map<number, ArrayBuffer>()
  const regionOf = (handle: Handle): ArrayBuffer => {
    const number = addon.regionOf(handle)
    let region = regions.get(number)
    if (region === undefined) {
      region = addon.region(handle)
      regions.set(number, region)
    }
    return region
  }
  const view = (handle: Handle, type: ElementType, size: number): Elements =>
    new arrays[type](regionOf(handle), addon.offset(handle), size)
  return {
    ...addon,
    allocate: (type, size) => addon.allocate(typeNumbers[type], size),
    read: (handle, type, size) => view(handle, type, size).slice(),
    readFloat64: (handle, size) => new Float64Array(regionOf(handle), addon.offset(handle), size).slice(),
    view,
    instructions: addon.instructions(),
  }
}
