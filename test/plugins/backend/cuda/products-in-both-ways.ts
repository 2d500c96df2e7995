/**
 * Matrix products on the emulated GPU, by our own kernels and then by cuBLASLt, which cannot be closed again: therefore
 * in a process of its own. Prints what `products.test.ts` compares.
 */
import { Effect } from "effect"
import { cudaAddon } from "../../../../plugins/backend/cuda/addon.ts"
import { loadKernels } from "../../../../plugins/backend/cuda/compile.ts"
import { gpuOf, loadCudaAddon } from "../../../../plugins/backend/cuda/device.ts"
import { librariesVariable } from "../../../../plugins/backend/cuda/libraries.ts"
import { addonPath } from "../../../../plugins/backend/device/build.ts"
import { precisionNumbers } from "../../../../plugins/backend/device/device.ts"
import { noise } from "../../../core/tensor/against-float64.ts"
import { emulator } from "./emulator/emulator.ts"
import { Host } from "./emulator/host.ts"

/** What was computed in one way. */
export interface Compared {
  /** Of float64 products of the rounded factors, by what was computed. */
  readonly deviations: Readonly<Record<string, number>>
  /** What has other bits when threads, warps and blocks run in reverse. */
  readonly changed: readonly string[]
  readonly launches: Readonly<Record<string, number>>
}

export interface Report {
  readonly own: Compared
  readonly cublasLt: Compared
  /** The message if cuBLASLt fails. */
  readonly failure: string
  /** Products of ones that it refuses after all. */
  readonly refused: { readonly sums: readonly number[]; readonly byCublasLt: number }
  /** What is still there of the driver's objects at the end. */
  readonly left: number
}

const libraries = await emulator()
if (libraries === undefined) throw new Error("there is no emulator here")
process.env[librariesVariable] = libraries.folder
const host = new Host(libraries)
const addon = loadCudaAddon(await Effect.runPromise(addonPath(cudaAddon)))
addon.find(libraries.driver)
addon.start()
await loadKernels(addon, 90, 12_100)
const device = gpuOf(addon)

const words = (values: Float32Array, round: (word: number) => number): Float32Array =>
  new Float32Array(new Uint32Array(values.slice().buffer).map(round).buffer)
/** To nearest: ties to even in bfloat16, away from zero in tf32. */
const rounded = {
  fp32: (values: Float32Array) => values,
  tf32: (values: Float32Array) => words(values, (word) => ((word + 0x1000) & 0xffffe000) >>> 0),
  bf16: (values: Float32Array) =>
    words(values, (word) => ((word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000) >>> 0),
}

/** c[i, j] = Σ_l a(i, l) b(l, j) + start(j). */
const product = (
  [m, n, k]: readonly [number, number, number],
  a: (i: number, l: number) => number,
  b: (l: number, j: number) => number,
  start: (j: number) => number = () => 0,
): Float64Array =>
  Float64Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n]
    let sum = start(j)
    for (let l = 0; l < k; l++) sum += a(i, l) * b(l, j)
    return sum
  })

/** The greatest difference, as a fraction of the largest expected number, or of 1 if that is more; NaN if one is. */
const deviation = (found: ArrayLike<number>, expected: Float64Array): number => {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1)
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(found[i]! - value)), 0) / largest
}

const density = (x: number): number => Math.exp(-(x * x) / 2) / Math.sqrt(2 * Math.PI)
/** Φ, by Simpson's rule. */
const distribution = (x: number): number => {
  const [steps, step] = [400, x / 400]
  let sum = density(0) + density(x)
  for (let i = 1; i < steps; i++) sum += (i % 2 === 0 ? 2 : 4) * density(i * step)
  return 0.5 + (sum * step) / 3
}

const handles: number[] = []
const empty = (size: number): number => {
  const handle = device.allocate("float32", size)
  handles.push(handle)
  return handle
}
const given = (values: Float32Array): number => {
  const handle = empty(values.length)
  device.write(handle, values)
  return handle
}

// The emulated GPU has 4 multiprocessors: the last products are computed in large tiles, and [20, 30, 1500] in parts.
const shapes = [
  [1, 1, 1],
  [1, 17, 3],
  [33, 31, 15],
  [64, 72, 40],
  [20, 30, 1500],
  [3, 5, 0],
  [0, 4, 2],
  [130, 136, 72],
  [131, 133, 37],
] as const

const compare = (): Compared => {
  const deviations: Record<string, number> = {}
  const changed: string[] = []
  host.control("reset=1")
  /** Runs `compute`, which writes the outputs, in both orders. */
  const check = (
    what: string,
    compute: () => void,
    outputs: readonly (readonly [number, Float64Array])[],
  ) => {
    const [forward, reverse] = ["forward", "reverse"].map((order) => {
      // Work that waits for somebody to read is done in the order of that time.
      host.control(`order=${order}`)
      compute()
      return outputs.map(([handle, expected]) => device.read(handle, "float32", expected.length))
    })
    deviations[what] = Math.max(...outputs.map(([, expected], i) => deviation(forward![i]!, expected)))
    if (!Bun.deepEquals(forward, reverse)) changed.push(what)
    for (const handle of handles.splice(0)) device.release(handle)
  }
  for (const precision of ["fp32", "tf32", "bf16"] as const) {
    const number = precisionNumbers[precision]
    const round = rounded[precision]
    for (const [m, n, k] of shapes) {
      for (const [transposeA, transposeB] of [
        [false, false],
        [false, true],
        [true, false],
        [true, true],
      ] as const) {
        const [a, b] = [noise(1, m * k), noise(2, k * n)]
        const [left, right] = [round(a), round(b)]
        const expected = product(
          [m, n, k],
          (i, l) => left[transposeA ? l * m + i : i * k + l]!,
          (l, j) => right[transposeB ? j * k + l : l * n + j]!,
        )
        const [aHandle, bHandle, c] = [given(a), given(b), empty(m * n)]
        check(
          `${precision} [${m}, ${n}, ${k}], transposed ${transposeA}, ${transposeB}`,
          () => device.matmul(aHandle, bHandle, c, 1, m, n, k, transposeA, transposeB, number),
          [[c, expected]],
        )
      }
    }
    const [batch, m, n, k] = [3, 70, 9, 33]
    const [many, one] = [noise(1, batch * m * k), noise(2, k * n)]
    const [left, right] = [round(many), round(one)]
    const c = empty(batch * m * n)
    const [manyHandle, oneHandle] = [given(many), given(one)]
    check(
      `${precision} of a batch with one b`,
      () => device.matmul(manyHandle, oneHandle, c, batch, m, n, k, false, false, number),
      // One product with all rows.
      [
        [
          c,
          product(
            [batch * m, n, k],
            (i, l) => left[i * k + l]!,
            (l, j) => right[l * n + j]!,
          ),
        ],
      ],
    )
    for (const [tokens, inputs, outputs] of [
      [7, 16, 24],
      [140, 72, 136],
      [131, 33, 29],
      [900, 8, 9],
    ] as const) {
      const [x, weight] = [noise(3, tokens * inputs), noise(4, outputs * inputs)]
      const [bias, dy] = [noise(5, outputs), noise(6, tokens * outputs)]
      const [X, W, G] = [round(x), round(weight), round(dy)]
      const [y, activated, derivative] = [1, 2, 3].map(() => empty(tokens * outputs)) as [
        number,
        number,
        number,
      ]
      const [dx, times, dWeight, dBias] = [
        empty(tokens * inputs),
        empty(tokens * inputs),
        empty(outputs * inputs),
        empty(outputs),
      ]
      const before = product(
        [tokens, outputs, inputs],
        (t, i) => X[t * inputs + i]!,
        (i, o) => W[o * inputs + i]!,
        (o) => bias[o]!,
      )
      const [xHandle, wHandle, bHandle, dyHandle] = [given(x), given(weight), given(bias), given(dy)]
      check(`${precision} linear layer of [${tokens}, ${inputs}, ${outputs}]`, () => {
        device.linear(xHandle, wHandle, bHandle, y, number)
        device.linearGelu(xHandle, wHandle, bHandle, activated, derivative, number)
        device.linearInputGradient(dyHandle, wHandle, dx, tokens, false, number)
        device.linearInputGradient(dyHandle, wHandle, dx, tokens, true, number)
        device.linearInputGradientTimes(dyHandle, wHandle, xHandle, times, tokens, number)
        device.linearParameterGradients(dyHandle, xHandle, dWeight, dBias, tokens, number)
      }, [
        [y, before],
        [activated, before.map((x) => x * distribution(x))],
        [derivative, before.map((x) => distribution(x) + x * density(x))],
        [
          dx,
          product(
            [tokens, inputs, outputs],
            (t, o) => G[t * outputs + o]!,
            (o, i) => W[o * inputs + i]!,
          ).map((value) => 2 * value),
        ],
        [
          times,
          product(
            [tokens, inputs, outputs],
            (t, o) => G[t * outputs + o]!,
            (o, i) => W[o * inputs + i]!,
          ).map((value, i) => value * x[i]!),
        ],
        [
          dWeight,
          product(
            [outputs, inputs, tokens],
            (o, t) => G[t * outputs + o]!,
            (t, i) => X[t * inputs + i]!,
          ),
        ],
        [
          dBias,
          product(
            [1, outputs, tokens],
            () => 1,
            (t, o) => dy[t * outputs + o]!,
          ),
        ],
      ])
    }
  }
  return { deviations, changed, launches: host.counts().launches }
}

const own = compare()
addon.openBlas(libraries.cublasLt)
const cublasLt = compare()
const [a, b, c] = [given(noise(1, 6)), given(noise(2, 15)), empty(10)]
let failure = ""
device.matmul(a, b, c, 1, 2, 5, 3, false, true, precisionNumbers.fp32)
host.control("fail=1")
try {
  device.matmul(a, b, c, 1, 2, 5, 3, false, true, precisionNumbers.fp32)
} catch (cause) {
  failure = String(cause)
}
// An algorithm is found, and then does not compute.
host.control("fail=0 products=refused")
const [x, y, sums] = [given(new Float32Array(18).fill(1)), given(new Float32Array(24).fill(1)), empty(12)]
const counted = host.counts().launches
device.matmul(x, y, sums, 1, 3, 4, 6, false, false, precisionNumbers.fp32)
device.matmul(x, y, sums, 1, 3, 4, 6, false, false, precisionNumbers.fp32)
const refused = {
  sums: [...device.read(sums, "float32", 12)],
  byCublasLt: (host.counts().launches["cublasLtMatmul"] ?? 0) - (counted["cublasLtMatmul"] ?? 0),
}
for (const handle of [a, b, c, x, y, sums]) device.release(handle)
addon.stop()
// The library goes with the device that it was opened for.
addon.start()
await loadKernels(addon, 90, 12_100)
host.control("products=all")
addon.openBlas(libraries.cublasLt)
addon.stop()
const left = Object.values(host.counts().live).reduce((sum, count) => sum + count, 0)
console.log(JSON.stringify({ own, cublasLt, failure, refused, left } satisfies Report))
