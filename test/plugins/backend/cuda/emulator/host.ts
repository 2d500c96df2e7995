/** A small host program for the emulated libraries: kernels from their text, buffers, launches. */
import { CString, dlopen, type Pointer, ptr, toArrayBuffer } from "bun:ffi"
import type { Emulator } from "./emulator.ts"

const driverFunctions = {
  cuInit: { args: ["u32"], returns: "i32" },
  cuDeviceGetCount: { args: ["ptr"], returns: "i32" },
  cuDeviceGetAttribute: { args: ["ptr", "i32", "i32"], returns: "i32" },
  cuDevicePrimaryCtxRetain: { args: ["ptr", "i32"], returns: "i32" },
  cuDevicePrimaryCtxRelease_v2: { args: ["i32"], returns: "i32" },
  cuCtxSetCurrent: { args: ["u64"], returns: "i32" },
  cuStreamCreate: { args: ["ptr", "u32"], returns: "i32" },
  cuStreamSynchronize: { args: ["u64"], returns: "i32" },
  cuStreamDestroy_v2: { args: ["u64"], returns: "i32" },
  cuStreamWaitEvent: { args: ["u64", "u64", "u32"], returns: "i32" },
  cuEventCreate: { args: ["ptr", "u32"], returns: "i32" },
  cuEventRecord: { args: ["u64", "u64"], returns: "i32" },
  cuEventQuery: { args: ["u64"], returns: "i32" },
  cuEventSynchronize: { args: ["u64"], returns: "i32" },
  cuEventDestroy_v2: { args: ["u64"], returns: "i32" },
  cuMemAlloc_v2: { args: ["ptr", "u64"], returns: "i32" },
  cuMemFree_v2: { args: ["u64"], returns: "i32" },
  cuMemGetInfo_v2: { args: ["ptr", "ptr"], returns: "i32" },
  cuMemHostAlloc: { args: ["ptr", "u64", "u32"], returns: "i32" },
  cuMemFreeHost: { args: ["u64"], returns: "i32" },
  cuMemcpyHtoDAsync_v2: { args: ["u64", "ptr", "u64", "u64"], returns: "i32" },
  cuMemcpyDtoHAsync_v2: { args: ["ptr", "u64", "u64", "u64"], returns: "i32" },
  cuMemcpyDtoDAsync_v2: { args: ["u64", "u64", "u64", "u64"], returns: "i32" },
  cuMemsetD8Async: { args: ["u64", "u8", "u64", "u64"], returns: "i32" },
  cuMemsetD32Async: { args: ["u64", "u32", "u64", "u64"], returns: "i32" },
  cuModuleLoadDataEx: { args: ["ptr", "ptr", "u32", "ptr", "ptr"], returns: "i32" },
  cuModuleUnload: { args: ["u64"], returns: "i32" },
  cuModuleGetFunction: { args: ["ptr", "u64", "ptr"], returns: "i32" },
  cuFuncSetAttribute: { args: ["u64", "i32", "i32"], returns: "i32" },
  cuLaunchKernel: {
    args: ["u64", "u32", "u32", "u32", "u32", "u32", "u32", "u32", "u64", "ptr", "ptr"],
    returns: "i32",
  },
  cuGetErrorName: { args: ["i32", "ptr"], returns: "i32" },
  emulated_cuda_control: { args: ["ptr"], returns: "i32" },
  emulated_cuda_counts: { args: [], returns: "cstring" },
} as const

const nvrtcFunctions = {
  nvrtcVersion: { args: ["ptr", "ptr"], returns: "i32" },
  nvrtcCreateProgram: { args: ["ptr", "ptr", "ptr", "i32", "ptr", "ptr"], returns: "i32" },
  nvrtcCompileProgram: { args: ["u64", "i32", "ptr"], returns: "i32" },
  nvrtcGetProgramLogSize: { args: ["u64", "ptr"], returns: "i32" },
  nvrtcGetProgramLog: { args: ["u64", "ptr"], returns: "i32" },
  nvrtcGetPTXSize: { args: ["u64", "ptr"], returns: "i32" },
  nvrtcGetPTX: { args: ["u64", "ptr"], returns: "i32" },
  nvrtcGetNumSupportedArchs: { args: ["ptr"], returns: "i32" },
  nvrtcGetSupportedArchs: { args: ["ptr"], returns: "i32" },
  nvrtcDestroyProgram: { args: ["ptr"], returns: "i32" },
} as const

export interface Counts {
  readonly calls: Readonly<Record<string, number>>
  readonly launches: Readonly<Record<string, number>>
  readonly bytes: Readonly<Record<"toDevice" | "toHost" | "onDevice" | "staged", number>>
  readonly live: Readonly<
    Record<"allocations" | "streams" | "events" | "modules" | "contexts" | "pinned", number>
  >
  readonly abandoned: number
  readonly usedBytes: number
  readonly peakBytes: number
}

export const text = (value: string): Buffer => Buffer.from(`${value}\0`)

/** What arrays of pointers point to, which the garbage collector does not see. */
const pointedTo = new WeakMap<BigUint64Array, readonly NodeJS.TypedArray[]>()

/** Pointers to buffers, as an array of C that 0 ends. */
export const pointers = (buffers: readonly NodeJS.TypedArray[]): BigUint64Array => {
  const array = BigUint64Array.from([...buffers.map((buffer) => BigInt(ptr(buffer))), 0n])
  pointedTo.set(array, buffers)
  return array
}

/** What an output parameter receives. */
export const received = (call: (slot: BigUint64Array) => void): bigint => {
  const slot = new BigUint64Array(1)
  call(slot)
  return slot[0]!
}

/** Fields of a structure of C: pointers as bigint, int32 as number, float as `{ float }`. */
export type Field = bigint | number | { readonly float: number }

const structure = (fields: readonly Field[]): Uint8Array => {
  const view = new DataView(new ArrayBuffer(fields.length * 8))
  let at = 0
  for (const field of fields) {
    if (typeof field === "bigint") {
      at = Math.ceil(at / 8) * 8
      view.setBigUint64(at, field, true)
      at += 8
    } else {
      if (typeof field === "number") view.setInt32(at, field, true)
      else view.setFloat32(at, field.float, true)
      at += 4
    }
  }
  return new Uint8Array(view.buffer)
}

export interface Shape {
  readonly blocks: readonly number[]
  readonly threads: number
  readonly shared?: number
  readonly stream?: bigint
}

export interface CompileOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly architecture?: string
  readonly options?: readonly string[]
}

export class Host {
  readonly cuda: ReturnType<typeof dlopen<typeof driverFunctions>>["symbols"]
  readonly nvrtc: ReturnType<typeof dlopen<typeof nvrtcFunctions>>["symbols"]

  constructor(libraries: Emulator) {
    this.cuda = dlopen(libraries.driver, driverFunctions).symbols
    this.nvrtc = dlopen(libraries.nvrtc, nvrtcFunctions).symbols
  }

  /** @throws Error with the name of the result, unless it is 0 */
  ok(result: number): void {
    if (result !== 0) throw new Error(this.nameOf(result))
  }

  nameOf(result: number): string {
    const name = received((slot) => this.cuda.cuGetErrorName(result, slot))
    return name === 0n ? `CUresult ${result}` : new CString(Number(name) as Pointer).toString()
  }

  control(pairs: string): void {
    if (this.cuda.emulated_cuda_control(text(pairs)) !== 0) throw new Error(`no such setting: ${pairs}`)
  }

  /** All settings as they are when the libraries are loaded. */
  restore(): void {
    const defaults =
      "order=forward lazy=1 dry=0 fail=0 memory=1073741824 capability=90 driver=12100 devices=1 threads=1"
    this.control(`${defaults} products=all ${process.env["KASOSEI_EMULATED_CUDA"] ?? ""}`)
  }

  counts(): Counts {
    return JSON.parse(String(this.cuda.emulated_cuda_counts()))
  }

  /** Makes the first device's context current. */
  open(): void {
    this.ok(this.cuda.cuInit(0))
    const context = received((slot) => this.ok(this.cuda.cuDevicePrimaryCtxRetain(slot, 0)))
    this.ok(this.cuda.cuCtxSetCurrent(context))
  }

  close(): void {
    this.ok(this.cuda.cuDevicePrimaryCtxRelease_v2(0))
    this.ok(this.cuda.cuCtxSetCurrent(0n))
  }

  /** NVRTC's result, its log, and the program where it compiled. */
  compile(
    source: string,
    { headers = {}, architecture = "compute_80", options = [] }: CompileOptions = {},
  ): { readonly result: number; readonly log: string; readonly ptx: Buffer | undefined } {
    const names = Object.keys(headers).map(text)
    const contents = Object.values(headers).map(text)
    const program = received((slot) =>
      this.nvrtc.nvrtcCreateProgram(
        slot,
        text(source),
        text("kernels.cu"),
        names.length,
        pointers(contents),
        pointers(names),
      ),
    )
    const given = [`--gpu-architecture=${architecture}`, "-std=c++17", "-default-device", ...options].map(
      text,
    )
    const result = this.nvrtc.nvrtcCompileProgram(program, given.length, pointers(given))
    const log = Buffer.alloc(Number(received((slot) => this.nvrtc.nvrtcGetProgramLogSize(program, slot))))
    this.nvrtc.nvrtcGetProgramLog(program, log)
    let ptx: Buffer | undefined
    if (result === 0) {
      ptx = Buffer.alloc(Number(received((slot) => this.nvrtc.nvrtcGetPTXSize(program, slot))))
      this.nvrtc.nvrtcGetPTX(program, ptx)
    }
    this.nvrtc.nvrtcDestroyProgram(BigUint64Array.of(program))
    return { result, log: log.toString("utf8", 0, log.length - 1), ptx }
  }

  /** @throws Error with the compiler's log, or the name of the driver's result */
  load(source: string, options: CompileOptions = {}): bigint {
    const { log, ptx } = this.compile(source, options)
    if (ptx === undefined) throw new Error(log)
    return received((slot) => this.ok(this.cuda.cuModuleLoadDataEx(slot, ptx, 0, null, null)))
  }

  kernel(module: bigint, name: string): bigint {
    return received((slot) => this.ok(this.cuda.cuModuleGetFunction(slot, module, text(name))))
  }

  /** The result of the launch, whose only argument is a structure of `fields`. */
  launch(
    kernel: bigint,
    { blocks, threads, shared = 0, stream = 0n }: Shape,
    fields: readonly Field[],
  ): number {
    const [x = 1, y = 1, z = 1] = blocks
    const argument = structure(fields)
    return this.cuda.cuLaunchKernel(
      kernel,
      ...([x, y, z, threads, 1, 1, shared] as [number, number, number, number, number, number, number]),
      stream,
      pointers([argument]),
      null,
    )
  }

  allocate(bytes: number): bigint {
    return received((slot) => this.ok(this.cuda.cuMemAlloc_v2(slot, BigInt(bytes))))
  }

  free(pointer: bigint): void {
    this.ok(this.cuda.cuMemFree_v2(pointer))
  }

  upload(values: NodeJS.TypedArray, stream = 0n): bigint {
    const pointer = this.allocate(values.byteLength)
    this.ok(this.cuda.cuMemcpyHtoDAsync_v2(pointer, values, BigInt(values.byteLength), stream))
    return pointer
  }

  download(pointer: bigint, size: number, stream = 0n): Float32Array {
    const values = new Float32Array(size)
    this.ok(this.cuda.cuMemcpyDtoHAsync_v2(values, pointer, BigInt(values.byteLength), stream))
    return values
  }

  /** Pinned memory, and its numbers. */
  pinned(size: number): { readonly pointer: bigint; readonly values: Float32Array } {
    const pointer = received((slot) => this.ok(this.cuda.cuMemHostAlloc(slot, BigInt(size * 4), 0)))
    return { pointer, values: new Float32Array(toArrayBuffer(Number(pointer) as Pointer, 0, size * 4)) }
  }
}
