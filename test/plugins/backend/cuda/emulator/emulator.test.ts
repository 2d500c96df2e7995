import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { execFile } from "node:child_process"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { noise } from "../../../../core/tensor/against-float64.ts"
import { emulator, sanitizing } from "./emulator.ts"
import { type Field, Host, received, type Shape } from "./host.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const run = promisify(execFile)
const libraries = await emulator()
const kernels = await readFile(join(import.meta.dir, "kernels.cu"), "utf8")
const undefinedKernels = await readFile(join(import.meta.dir, "undefined.cu"), "utf8")

/** Rounds to bfloat16: its 16 bits, and what they stand for. */
const toBfloat16 = (values: Float32Array) => {
  const words = new Uint32Array(values.slice().buffer)
  const bits = Uint16Array.from(words, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16)
  const rounded = new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer)
  return { bits, rounded }
}

/** Rounds to 10 bits after the point, ties away from zero. */
const toTf32 = (values: Float32Array): Float32Array =>
  new Float32Array(
    Uint32Array.from(new Uint32Array(values.slice().buffer), (word) => ((word + 0x1000) & 0xffffe000) >>> 0)
      .buffer,
  )

/** The largest absolute difference; NaN if there is one. */
const worst = (actual: Float32Array, expected: Float64Array): number => {
  let found = 0
  for (const [i, value] of expected.entries()) found = Math.max(found, Math.abs(actual[i]! - value))
  return found
}

/** a [m, k] by b, of which element (q, j) is `at(q, j)`. */
const product64 = (
  m: number,
  n: number,
  k: number,
  a: (i: number, q: number) => number,
  b: (q: number, j: number) => number,
): Float64Array =>
  Float64Array.from({ length: m * n }, (_, at) => {
    let sum = 0
    for (let q = 0; q < k; q++) sum += a(Math.floor(at / n), q) * b(q, at % n)
    return sum
  })

interface Case {
  readonly kernel: string
  readonly inputs: readonly NodeJS.TypedArray[]
  readonly size: number
  readonly more: readonly Field[]
  readonly shape: Shape
  readonly expected: Float64Array
}

const layerNorm = ((): Case => {
  const [rows, width] = [40, 100]
  const x = noise(1, rows * width)
  const expected = new Float64Array(rows * width)
  for (let row = 0; row < rows; row++) {
    const values = Float64Array.from(x.subarray(row * width, (row + 1) * width))
    const mean = values.reduce((a, b) => a + b) / width
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / width
    for (const [i, v] of values.entries())
      expected[row * width + i] = (v - mean) / Math.sqrt(variance + 1e-12)
  }
  const shape = { blocks: [rows], threads: 128, shared: width * 4 }
  return {
    kernel: "layer_norm",
    inputs: [x],
    size: x.length,
    more: [width, { float: 1e-12 }],
    shape,
    expected,
  }
})()

const productBf16 = ((): Case => {
  const [m, n, k] = [70, 24, 56]
  const [a, b] = [toBfloat16(noise(2, m * k)), toBfloat16(noise(3, k * n))]
  const expected = product64(
    m,
    n,
    k,
    (i, q) => a.rounded[i * k + q]!,
    (q, j) => b.rounded[q * n + j]!,
  )
  const shape = { blocks: [Math.ceil(n / 16), Math.ceil(m / 64)], threads: 128 }
  return { kernel: "product_bf16", inputs: [a.bits, b.bits], size: m * n, more: [m, n, k], shape, expected }
})()

const productTf32 = ((): Case => {
  const [m, n, k] = [19, 13, 24]
  const [a, b] = [noise(4, m * k), noise(5, n * k)]
  const [left, right] = [toTf32(a), toTf32(b)]
  const expected = product64(
    m,
    n,
    k,
    (i, q) => left[i * k + q]!,
    (q, j) => right[j * k + q]!,
  )
  const shape = { blocks: [2, 2], threads: 32 }
  return { kernel: "product_tf32", inputs: [a, b], size: m * n, more: [m, n, k], shape, expected }
})()

const turnRows = ((): Case => {
  const rows = 21
  const x = noise(6, rows * 32).map((v, i) => (Math.floor(i / 32) % 2 ? Math.abs(v) : v))
  const expected = Float64Array.from(x, (_, i) => {
    const row = x.subarray(i - (i % 32), i - (i % 32) + 32)
    return row[31 - (i % 32)]! + row[0]! + (row.some((v) => v < 0) ? 100 : 0)
  })
  const shape = { blocks: [6], threads: 128 }
  return { kernel: "turn_rows", inputs: [x], size: x.length, more: [rows], shape, expected }
})()

/**
 * Runs a script in a process of its own, for what ends the process: with `host` and the sources of kernels.
 */
const inProcess = async (
  body: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> => {
  const script = `
    import { ptr } from "bun:ffi"
    import { Host, pointers, received, text } from ${JSON.stringify(join(import.meta.dir, "host.ts"))}
    const host = new Host(${JSON.stringify(libraries)})
    const kernels = ${JSON.stringify(kernels)}
    const undefinedKernels = ${JSON.stringify(undefinedKernels)}
    ${body}`
  const env = { ...process.env, KASOSEI_EMULATED_CUDA: "", ...environment }
  return run(process.execPath, ["-e", script], { env }).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout.trim(), err: stderr.trim() }),
    ({ code, stdout, stderr }) => ({ code, out: stdout.trim(), err: stderr.trim() }),
  )
}

describe.skipIf(libraries === undefined)("the emulated CUDA device", () => {
  let host: Host
  beforeAll(() => {
    host = new Host(libraries!)
    host.control("reset=1")
    host.open()
  })
  afterEach(() => host.restore())
  afterAll(() => host.close())

  const compute = (module: bigint, { kernel, inputs, size, more, shape }: Case): Float32Array => {
    const given = inputs.map((values) => host.upload(values))
    const result = host.allocate(size * 4)
    try {
      host.ok(host.launch(host.kernel(module, kernel), shape, [...given, result, ...more]))
      return host.download(result, size)
    } finally {
      for (const pointer of [...given, result]) host.free(pointer)
    }
  }

  const withModule = <A>(planted: number, body: (module: bigint) => A): A => {
    const module = host.load(kernels, { options: [`-DPLANTED=${planted}`] })
    try {
      return body(module)
    } finally {
      host.ok(host.cuda.cuModuleUnload(module))
    }
  }

  const bothWays = (module: bigint, given: Case) => {
    host.control("order=forward")
    const forward = compute(module, given)
    host.control("order=reverse")
    return { forward, reverse: compute(module, given) }
  }

  describe("kernels", () => {
    const cases: readonly (readonly [Case, string, number])[] = [
      [layerNorm, "a layer norm: shared memory, shuffles, barriers", 1e-6],
      [productBf16, "a product in bf16: asynchronous copies, ldmatrix, mma", 1e-5],
      [productTf32, "a product in TF32", 1e-5],
      [turnRows, "warp barriers, shuffles and votes", 1e-5],
    ]
    for (const [given, what, tolerance] of cases) {
      test(`${what}: against float64, the same bits in reverse and on two host threads`, () => {
        withModule(0, (module) => {
          const { forward, reverse } = bothWays(module, given)
          expect(worst(forward, given.expected)).toBeLessThan(tolerance)
          expect(reverse).toEqual(forward)
        })
        host.control("order=forward threads=2")
        withModule(0, (module) =>
          expect(worst(compute(module, given), given.expected)).toBeLessThan(tolerance),
        )
      })
    }

    const mistakes: readonly (readonly [number, Case, string])[] = [
      [1, layerNorm, "a missing barrier before a read"],
      [2, layerNorm, "a missing barrier after a read"],
      [3, productBf16, "a missing wait for copies"],
      [4, productBf16, "a missing barrier after the wait for copies"],
      [5, productBf16, "a missing commit of copies"],
      [6, productBf16, "a copy into memory that others still read"],
      [7, turnRows, "a missing warp barrier"],
    ]
    for (const [planted, given, what] of mistakes) {
      test(`finds ${what}`, () => {
        withModule(planted, (module) => {
          const { forward, reverse } = bothWays(module, given)
          const isRight = (result: Float32Array): boolean => worst(result, given.expected) < 1e-4
          expect(isRight(forward) && isRight(reverse)).toBe(false)
        })
      })
    }
  })

  describe("what is undefined in a kernel", () => {
    const cases: readonly (readonly [string, string])[] = [
      [
        "barrier_in_branch",
        "16 of 32 threads have ended, and the others wait at block_barrier at kernels.cu:13",
      ],
      [
        "barrier_of_each_branch",
        "thread 16 is at block_barrier at kernels.cu:20, and others are at that at kernels.cu:18",
      ],
      [
        "barrier_in_uneven_loop",
        "thread 8 is at block_barrier at kernels.cu:26, and others are at that at kernels.cu:25",
      ],
      [
        "shuffle_in_branch",
        "no progress: of warp 0, the lanes 0000ffff are at shuffle_xor at kernels.cu:31, and ffff0000 at block_barrier at kernels.cu:32",
      ],
      [
        "shuffle_of_each_branch",
        "lane 16 of warp 0 is at shuffle_xor at kernels.cu:41, and others are at shuffle_xor at kernels.cu:39",
      ],
      [
        "shuffle_from_ended_lane",
        "shuffle at kernels.cu:48: lane 0 of warp 0 asks lane 31, which is not there",
      ],
      ["product_without_a_lane", "mma_bf16 at kernels.cu:55 needs all 32 lanes"],
      [
        "unaligned_load",
        "load_matrices at kernels.cu:62 takes a shared address that is not aligned to 16 bytes",
      ],
      ["copy_to_global", "copy_async_4 at kernels.cu:76 takes an address that is not in shared memory"],
      [
        "unaligned_copy",
        "copy_async_16 at kernels.cu:80 takes a global address that is not aligned to 16 bytes",
      ],
      ["write_nowhere", "thread 5: signal 11 at address 0x28"],
      ["descend_forever", "thread 0: signal 11 at address 0x"],
    ]
    for (const [kernel, message] of cases) {
      test(`${kernel} ends the process and says where`, async () => {
        const { code, err } = await inProcess(`
          host.open()
          const kernel = host.kernel(host.load(undefinedKernels), "${kernel}")
          const [x, y] = [host.allocate(4096), host.allocate(4096)]
          host.ok(host.launch(kernel, { blocks: [1], threads: 32 }, [x, y, 40]))
          console.log("launched")
          host.download(y, 1)`)
        expect(err).toContain(`emulated CUDA: kernel ${kernel}, block (0, 0, 0)`)
        expect(err).toContain(message)
        expect(code).toBe(86)
      })
    }

    test("memory that nobody has written is NaN, in shared memory before every block", () => {
      const module = host.load(undefinedKernels)
      const [x, y] = [host.allocate(128), host.allocate(96 * 4)]
      const kernel = host.kernel(module, "read_before_write")
      host.ok(host.launch(kernel, { blocks: [3], threads: 32, shared: 128 }, [x, y, 0]))
      expect(host.download(y, 96).every(Number.isNaN)).toBe(true)
      host.free(x)
      host.free(y)
      host.ok(host.cuda.cuModuleUnload(module))
    })

    describe("under AddressSanitizer", async () => {
      const environment = await sanitizing()
      const write = (kernel: string, size: number, at: number) =>
        inProcess(
          `host.open()
          const kernel = host.kernel(host.load(undefinedKernels), "${kernel}")
          const y = host.allocate(${size * 4})
          host.ok(host.launch(kernel, { blocks: [1], threads: 32, shared: ${size * 4} }, [0n, y, ${at}]))
          host.download(y, 1)`,
          environment,
        )
      for (const [kernel, size] of [
        ["write_global", 33],
        ["write_static", 21],
        ["write_dynamic", 21],
      ] as const) {
        test.skipIf(environment === undefined)(`${kernel} is found where it is out of bounds`, async () => {
          const [inside, outside] = await Promise.all([
            write(kernel, size, size - 1),
            write(kernel, size, size),
          ])
          expect(inside).toEqual({ code: 0, out: "", err: "" })
          expect(outside.err).toContain("buffer-overflow")
          expect(outside.err).toContain(`in ${kernel}`)
          expect(outside.code).not.toBe(0)
        })
      }

      test.skipIf(environment === undefined)(
        "four numbers are read where they are aligned only",
        async () => {
          const read = (at: number) =>
            inProcess(
              `host.open()
            const kernel = host.kernel(host.load(undefinedKernels), "read_four")
            const [x, y] = [host.allocate(64), host.allocate(4)]
            host.ok(host.launch(kernel, { blocks: [1], threads: 1 }, [x, y, ${at}]))
            host.download(y, 1)`,
              environment,
            )
          const [aligned, between] = await Promise.all([read(8), read(6)])
          expect(aligned).toEqual({ code: 0, out: "", err: "" })
          expect(between.err).toContain("misaligned address")
          expect(between.err).toContain("kernels.cu:72")
          expect(between.code).not.toBe(0)
        },
      )
    })
  })

  describe("the driver", () => {
    const misuses: readonly (readonly [string, string, string])[] = [
      [
        "a copy to memory that was freed",
        "host.free(a); host.cuda.cuMemcpyHtoDAsync_v2(a, new Float32Array(4), 16n, stream)",
        "cuMemcpyHtoDAsync_v2: the destination 0x",
      ],
      [
        "memory that is freed while a kernel waits to use it",
        "host.launch(add, shape, [b, a, 1]); host.free(a)",
        "cuMemFree_v2: work that has not ended uses the memory",
      ],
      [
        "a copy of more than is left",
        "host.cuda.cuMemcpyDtoHAsync_v2(new Float32Array(128), a + 256n, 512n, stream)",
        "cuMemcpyDtoHAsync_v2: the source has 256 bytes left in its allocation of 512, and 512 are asked",
      ],
      [
        "a copy between overlapping places",
        "host.cuda.cuMemcpyDtoDAsync_v2(a, a + 4n, 64n, stream)",
        "source and destination overlap",
      ],
      [
        "a fill beyond the end",
        "host.cuda.cuMemsetD32Async(a, 0, 129n, stream)",
        "cuMemsetD32Async: the destination has 512 bytes left",
      ],
      [
        "a fill of host memory",
        "host.cuda.cuMemsetD8Async(host.pinned(4).pointer, 0, 16n, stream)",
        "is not in device memory",
      ],
      [
        "pinned memory that is freed while a copy uses it",
        "const p = host.pinned(4); host.cuda.cuMemcpyHtoDAsync_v2(a, p.values, 16n, stream); host.cuda.cuMemFreeHost(p.pointer)",
        "cuMemFreeHost: a copy that has not ended uses the pinned memory",
      ],
      [
        "a copy that leaves pinned memory",
        "const p = host.pinned(4); host.cuda.cuMemcpyHtoDAsync_v2(a, p.values.subarray(2), 16n, stream)",
        "are pinned only in part",
      ],
      [
        "a launch of what was unloaded",
        "host.ok(host.cuda.cuModuleUnload(module)); host.launch(add, shape, [a, a, 1])",
        "cuLaunchKernel: the function 0x",
      ],
      [
        "a launch with a pointer into freed memory",
        "host.free(a); host.launch(add, shape, [b, a + 8n, 1])",
        "cuLaunchKernel: add: at byte 8 of its argument is a pointer into memory that was freed",
      ],
      [
        "a function of a module that was unloaded",
        'host.ok(host.cuda.cuModuleUnload(module)); host.kernel(module, "add")',
        "cuModuleGetFunction: the module 0x",
      ],
      [
        "a stream that was destroyed",
        "host.cuda.cuStreamDestroy_v2(stream); host.cuda.cuStreamSynchronize(stream)",
        "cuStreamSynchronize: the stream 0x",
      ],
      [
        "an event that was destroyed",
        "host.cuda.cuEventDestroy_v2(event); host.cuda.cuEventRecord(event, stream)",
        "cuEventRecord: the event 0x",
      ],
      [
        "a context that was released",
        "host.cuda.cuDevicePrimaryCtxRelease_v2(0); host.cuda.cuCtxSetCurrent(context)",
        "cuCtxSetCurrent: the context 0x",
      ],
      [
        "arguments of another size",
        `const size = BigUint64Array.of(16n), argument = new Uint8Array(24)
        host.cuda.cuLaunchKernel(add, 1, 1, 1, 32, 1, 1, 0, stream, null,
          BigUint64Array.of(1n, BigInt(ptr(argument)), 2n, BigInt(ptr(size)), 0n))`,
        "add takes 24 bytes of arguments, and 16 are given",
      ],
    ]
    for (const [what, body, message] of misuses) {
      test(`finds ${what}`, async () => {
        const { code, err } = await inProcess(`
          host.ok(host.cuda.cuInit(0))
          const context = received((slot) => host.ok(host.cuda.cuDevicePrimaryCtxRetain(slot, 0)))
          host.ok(host.cuda.cuCtxSetCurrent(context))
          const module = host.load(kernels, { options: ["-DPLANTED=0"] })
          const add = host.kernel(module, "add")
          const stream = received((slot) => host.ok(host.cuda.cuStreamCreate(slot, 1)))
          const event = received((slot) => host.ok(host.cuda.cuEventCreate(slot, 2)))
          const [a, b] = [host.allocate(512), host.allocate(512)]
          const shape = { blocks: [1], threads: 32, stream }
          ${body}`)
        expect(err).toContain("emulated CUDA: ")
        expect(err).toContain(message)
        expect(code).toBe(86)
      })
    }

    test("refuses what the real one refuses, with its numbers", async () => {
      const { out, err } = await inProcess(`
        const say = (...results) => console.log(results.map((result) => host.nameOf(result)).join(" "))
        const slot = new BigUint64Array(2)
        say(host.cuda.cuDeviceGetCount(slot), host.cuda.cuInit(1), host.cuda.cuInit(0))
        say(host.cuda.cuMemAlloc_v2(slot, 16n), host.cuda.cuDevicePrimaryCtxRetain(slot, 1),
          host.cuda.cuDevicePrimaryCtxRelease_v2(0))
        host.control("devices=0")
        say(host.cuda.cuInit(0))
        host.control("devices=1")
        host.open()
        say(host.cuda.cuMemAlloc_v2(slot, 0n), host.cuda.cuMemFree_v2(64n), host.cuda.cuMemFree_v2(0n),
          host.cuda.cuMemsetD32Async(2n, 0, 1n, 0n), host.cuda.cuMemHostAlloc(slot, 0n, 0))
        const load = (image) => host.cuda.cuModuleLoadDataEx(slot, image, 0, null, null)
        const { ptx } = host.compile(kernels, { options: ["-DPLANTED=0"] })
        host.control("driver=12090")
        say(load(text(".version 8.4")), load(ptx))
        host.control("driver=12100 capability=75")
        say(load(ptx))
        host.control("capability=80")
        const module = host.load(kernels, { options: ["-DPLANTED=0"] })
        say(host.cuda.cuModuleGetFunction(slot, module, text("subtract")))
        const kernel = host.kernel(module, "layer_norm")
        const launch = (blocks, threads, shared) => host.launch(kernel, { blocks, threads, shared }, [0n, 0n, 0, 0])
        say(launch([0], 32, 0), launch([1, 65536], 32, 0), launch([1], 129, 0), launch([1], 32, 49153))
        say(host.cuda.cuFuncSetAttribute(kernel, 8, (163 << 10) + 1), host.cuda.cuFuncSetAttribute(kernel, 8, 163 << 10),
          launch([1], 32, 163 << 10), launch([1], 32, (163 << 10) + 1))`)
      const invalid = "CUDA_ERROR_INVALID_VALUE"
      expect({ out: out.split("\n"), err }).toEqual({
        out: [
          `CUDA_ERROR_NOT_INITIALIZED ${invalid} CUDA_SUCCESS`,
          "CUDA_ERROR_INVALID_CONTEXT CUDA_ERROR_INVALID_DEVICE CUDA_ERROR_INVALID_CONTEXT",
          "CUDA_ERROR_NO_DEVICE",
          `${invalid} ${invalid} CUDA_SUCCESS ${invalid} ${invalid}`,
          "CUDA_ERROR_INVALID_IMAGE CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
          "CUDA_ERROR_NO_BINARY_FOR_GPU",
          "CUDA_ERROR_NOT_FOUND",
          `${invalid} ${invalid} ${invalid} ${invalid}`,
          `${invalid} CUDA_SUCCESS CUDA_SUCCESS ${invalid}`,
        ],
        err: "",
      })
    })

    test("has as much memory as it is told, and says how much is left", () => {
      const [left, total] = [new BigUint64Array(1), new BigUint64Array(1)]
      host.ok(host.cuda.cuMemGetInfo_v2(left, total))
      // A backend may run on the device in the same process.
      const used = total[0]! - left[0]!
      host.control(`memory=${used + 4096n}`)
      const a = host.allocate(1)
      const b = host.allocate(3072)
      host.ok(host.cuda.cuMemGetInfo_v2(left, total))
      expect([left[0], total[0]]).toEqual([512n, used + 4096n])
      expect(() => host.allocate(513)).toThrow("CUDA_ERROR_OUT_OF_MEMORY")
      host.free(b)
      host.free(host.allocate(3584))
      host.free(a)
      host.ok(host.cuda.cuMemGetInfo_v2(left, total))
      expect(left[0]).toBe(4096n)
    })

    /** A stream and an event, destroyed at the end. */
    const withStreams = <A>(count: number, body: (streams: readonly bigint[], event: bigint) => A): A => {
      const streams = Array.from({ length: count }, () =>
        received((slot) => host.ok(host.cuda.cuStreamCreate(slot, 1))),
      )
      const event = received((slot) => host.ok(host.cuda.cuEventCreate(slot, 2)))
      try {
        return body(streams, event)
      } finally {
        for (const stream of streams) host.ok(host.cuda.cuStreamDestroy_v2(stream))
        host.ok(host.cuda.cuEventDestroy_v2(event))
      }
    }

    test("a copy from pinned memory reads it when it is done, from pageable memory when it is asked for", () =>
      withStreams(1, ([stream = 0n]) => {
        const { pointer, values } = host.pinned(2)
        const pageable = Float32Array.of(1, 2)
        const a = host.allocate(8)
        const read = (source: Float32Array): number[] => {
          source.set([1, 2])
          host.ok(host.cuda.cuMemcpyHtoDAsync_v2(a, source, 8n, stream))
          source.set([3, 4])
          return [...host.download(a, 2, stream)]
        }
        expect(read(values)).toEqual([3, 4])
        expect(read(pageable)).toEqual([1, 2])
        host.control("lazy=0")
        expect(read(values)).toEqual([1, 2])
        host.free(a)
        host.ok(host.cuda.cuMemFreeHost(pointer))
      }))

    test("what was asked for is there only after a wait: for the stream or an event", () =>
      withStreams(1, ([stream = 0n], event) => {
        const { pointer, values } = host.pinned(1)
        const a = host.upload(Float32Array.of(5), stream)
        const ask = (): void => {
          values[0] = 0
          host.ok(host.cuda.cuMemcpyDtoHAsync_v2(values, a, 4n, stream))
          host.ok(host.cuda.cuEventRecord(event, stream))
          expect(values[0]).toBe(0)
        }
        ask()
        host.ok(host.cuda.cuStreamSynchronize(stream))
        expect(values[0]).toBe(5)
        ask()
        host.ok(host.cuda.cuEventSynchronize(event))
        expect(values[0]).toBe(5)
        ask()
        expect(host.nameOf(host.cuda.cuEventQuery(event))).toBe("CUDA_ERROR_NOT_READY")
        expect(values[0]).toBe(0)
        host.ok(host.cuda.cuEventQuery(event))
        expect(values[0]).toBe(5)
        host.free(a)
        host.ok(host.cuda.cuMemFreeHost(pointer))
      }))

    test("streams do not wait for each other, unless by an event", () =>
      withStreams(2, ([first = 0n, second = 0n], event) => {
        const a = host.upload(Float32Array.of(1), first)
        host.ok(host.cuda.cuStreamSynchronize(first))
        const two = Float32Array.of(2)
        host.ok(host.cuda.cuMemcpyHtoDAsync_v2(a, two, 4n, first))
        expect([...host.download(a, 1, second)]).toEqual([1])
        host.ok(host.cuda.cuEventRecord(event, first))
        host.ok(host.cuda.cuStreamWaitEvent(second, event, 0))
        expect([...host.download(a, 1, second)]).toEqual([2])
        host.free(a)
      }))

    test("fails at the call that it is told, and what releases something does so all the same", () => {
      const before = host.counts().live
      host.control("fail=2:2")
      const a = host.allocate(16)
      expect(() => host.allocate(16)).toThrow("CUDA_ERROR_OUT_OF_MEMORY")
      host.free(a)
      const b = host.allocate(16)
      host.control("fail=1")
      expect(() => host.free(b)).toThrow("CUDA_ERROR_UNKNOWN")
      expect(host.counts().live).toEqual(before)
      // An error of the device stays.
      host.control("fail=1:700")
      expect(() => host.allocate(16)).toThrow("CUDA_ERROR_ILLEGAL_ADDRESS")
      expect(() => host.allocate(16)).toThrow("CUDA_ERROR_ILLEGAL_ADDRESS")
      host.control("fail=0")
      host.free(host.allocate(16))
      expect(() => host.control("fail=1:12345")).toThrow("no such setting")
      expect(() => host.control("speed=2")).toThrow("no such setting")
    })

    test("counts calls, launches, bytes and what is live", () => {
      host.control("reset=1")
      const live = host.counts().live
      withModule(0, (module) => {
        compute(module, turnRows)
        const { calls, launches, bytes, ...counted } = host.counts()
        expect(calls).toMatchObject({
          cuLaunchKernel: 1,
          cuMemAlloc_v2: 2,
          cuMemFree_v2: 2,
          cuModuleLoadDataEx: 1,
        })
        expect(launches).toEqual({ turn_rows: 1 })
        const size = turnRows.size * 4
        expect(bytes).toEqual({ toDevice: size, toHost: size, onDevice: 0, staged: 2 * size })
        expect(counted.live).toEqual({ ...live, modules: live.modules + 1 })
        expect(counted.peakBytes - counted.usedBytes).toBe(2 * Math.ceil(size / 512) * 512)
      })
      expect(host.counts().live).toEqual(live)
    })

    test("says what the end of a context had to free", async () => {
      const { out } = await inProcess(`
        host.open()
        host.allocate(16)
        host.pinned(4)
        host.load(kernels, { options: ["-DPLANTED=0"] })
        host.close()
        const { abandoned, live } = host.counts()
        console.log(abandoned, JSON.stringify(live))`)
      expect(out).toBe('3 {"allocations":0,"contexts":0,"events":0,"modules":0,"pinned":0,"streams":0}')
    })
  })

  describe("NVRTC", () => {
    test("reports errors by file and line, also of a header", () => {
      const headers = { "sums.cuh": "inline float sum(float x) {\n  return x + y;\n}\n" }
      const { result, log } = host.compile('#include "sums.cuh"\n\nfloat broken(', { headers })
      expect(result).toBe(6)
      expect(log).toContain("sums.cuh:2:14: error: 'y' was not declared in this scope")
      expect(log).toMatch(/^kernels\.cu:\d+:\d+: error/m)
    })

    test("takes kernels in namespaces, with names of the C library, and others' integers", () => {
      const module = host.load(`#include "instructions.cuh"
        #if defined(__CUDACC_RTC__)
        typedef int int32_t;
        typedef long long int64_t;
        #endif
        namespace kernels {
        struct Fill { float* y; int32_t size; };
        template <int width> void fill(const Fill& a) {
          __shared__ int64_t last[width];
          last[threadIdx.x] = a.size - 1 - int(threadIdx.x);
          block_barrier();
          if (last[threadIdx.x] >= 0) a.y[last[threadIdx.x]] = sqrt_rn(2.0) == 1.4142135623730951 ? '}' : 0;
        }
        extern "C" __global__ void __launch_bounds__(32 * 2) index(const Fill a) { fill<64>(a); }
        extern "C" __global__ void remainder(const Fill a) { fill<32>(a); }
        }`)
      const y = host.upload(new Float32Array(70))
      host.ok(host.launch(host.kernel(module, "index"), { blocks: [1], threads: 64 }, [y, 64]))
      expect(host.launch(host.kernel(module, "index"), { blocks: [1], threads: 65 }, [y, 64])).toBe(1)
      host.ok(host.launch(host.kernel(module, "remainder"), { blocks: [1], threads: 32 }, [y + 256n, 3]))
      expect([...host.download(y, 70)]).toEqual([...new Array<number>(67).fill(125), 0, 0, 0])
      host.free(y)
      host.ok(host.cuda.cuModuleUnload(module))
    })

    test("refuses a kernel that is not written as the others are", () => {
      const { log } = host.compile('extern "C" __global__ void two(const int a, const int b) {}')
      expect(log).toStartWith('kernels.cu: error: expected a kernel as extern "C" __global__ void')
      expect(host.compile("__global__ void plain(const int a) {}").result).toBe(6)
    })

    test("knows architectures and options as the real one does", () => {
      const source = 'struct A { int n; };\nextern "C" __global__ void nothing(const A a) {}'
      const [major, minor] = [new Int32Array(1), new Int32Array(1)]
      host.nvrtc.nvrtcVersion(major, minor)
      expect([major[0], minor[0]]).toEqual([12, 10])
      const count = new Int32Array(1)
      host.nvrtc.nvrtcGetNumSupportedArchs(count)
      const list = new Int32Array(count[0]!)
      host.nvrtc.nvrtcGetSupportedArchs(list)
      expect([...list.slice(-4)]).toEqual([90, 100, 101, 120])
      expect(host.compile(source, { architecture: "sm_130" }).log).toContain("--gpu-architecture")
      expect(host.compile(source, { options: ["-faster"] }).log).toContain("unrecognized option -faster")
      expect(host.compile(source, { architecture: "sm_90" }).ptx?.toString()).toContain(".target sm_90")
    })
  })
})
