import { dlopen } from "bun:ffi"
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { noise } from "../../../../core/tensor/against-float64.ts"
import { emulator } from "./emulator.ts"
import { Host, received } from "./host.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const functions = {
  cublasLtCreate: { args: ["ptr"], returns: "i32" },
  cublasLtDestroy: { args: ["u64"], returns: "i32" },
  cublasLtMatmulDescCreate: { args: ["ptr", "i32", "i32"], returns: "i32" },
  cublasLtMatmulDescDestroy: { args: ["u64"], returns: "i32" },
  cublasLtMatmulDescSetAttribute: { args: ["u64", "i32", "ptr", "u64"], returns: "i32" },
  cublasLtMatrixLayoutCreate: { args: ["ptr", "i32", "u64", "u64", "i64"], returns: "i32" },
  cublasLtMatrixLayoutDestroy: { args: ["u64"], returns: "i32" },
  cublasLtMatrixLayoutSetAttribute: { args: ["u64", "i32", "ptr", "u64"], returns: "i32" },
  cublasLtMatmulPreferenceCreate: { args: ["ptr"], returns: "i32" },
  cublasLtMatmulPreferenceDestroy: { args: ["u64"], returns: "i32" },
  cublasLtMatmulPreferenceSetAttribute: { args: ["u64", "i32", "ptr", "u64"], returns: "i32" },
  cublasLtMatmulAlgoGetHeuristic: {
    args: ["u64", "u64", "u64", "u64", "u64", "u64", "u64", "i32", "ptr", "ptr"],
    returns: "i32",
  },
  cublasLtMatmul: {
    args: [
      ...(["u64", "u64", "ptr", "u64", "u64", "u64", "u64", "ptr"] as const),
      ...(["u64", "u64", "u64", "u64", "ptr", "u64", "u64", "u64"] as const),
    ],
    returns: "i32",
  },
} as const

/** Numbers of the library's headers. */
const [float32, bfloat16] = [0, 14]
const [sumsOfFloat32, sumsOfTf32] = [68, 77]
const [invalidValue, notSupported] = [7, 15]

interface Product {
  readonly m: number
  readonly n: number
  readonly k: number
  readonly transposed: readonly [a: boolean, b: boolean]
  readonly precision: "float32" | "tf32" | "bf16"
  readonly batch: number
  readonly bias: boolean
  readonly beta: number
}

/** How a number is rounded before it is multiplied. */
const roundings: Readonly<Record<Product["precision"], (word: number) => number>> = {
  float32: (word) => word,
  tf32: (word) => ((word + 0x1000) & 0xffffe000) >>> 0,
  bf16: (word) => ((word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000) >>> 0,
}

const rounded = (values: Float32Array, precision: Product["precision"]): Float32Array =>
  new Float32Array(Uint32Array.from(new Uint32Array(values.slice().buffer), roundings[precision]).buffer)

const libraries = await emulator()

describe.skipIf(libraries === undefined)("the emulated cuBLASLt", () => {
  let host: Host
  let blas: ReturnType<typeof dlopen<typeof functions>>["symbols"]
  let handle: bigint
  beforeAll(() => {
    host = new Host(libraries!)
    host.open()
    blas = dlopen(libraries!.cublasLt, functions).symbols
    handle = received((slot) => expect(blas.cublasLtCreate(slot)).toBe(0))
  })
  afterEach(() => host.restore())
  afterAll(() => {
    expect(blas.cublasLtDestroy(handle)).toBe(0)
    host.close()
  })

  const int = (value: number) => Int32Array.of(value)
  const attribute = (object: bigint, name: number, value: NodeJS.TypedArray): void => {
    const set = name < 100 ? blas.cublasLtMatmulDescSetAttribute : blas.cublasLtMatrixLayoutSetAttribute
    expect(set(object, name % 100, value, BigInt(value.byteLength))).toBe(0)
  }

  /** The objects and buffers of a product, all in column order, with leading dimensions two more than needed. */
  const prepare = ({ m, n, k, transposed, precision, batch, bias, beta }: Product) => {
    const [transposedA, transposedB] = transposed
    const shapes = { a: transposedA ? [k, m] : [m, k], b: transposedB ? [n, k] : [k, n], c: [m, n] } as const
    const matrix = (name: keyof typeof shapes, site: number) => {
      const [rows, columns] = shapes[name]
      const [leading, step] = [rows! + 2, (rows! + 2) * columns! + 6]
      const values = noise(site, step * batch)
      const exact = name === "c" ? values : rounded(values, precision)
      const isShort = precision === "bf16" && name !== "c"
      const words = new Uint32Array(exact.slice().buffer)
      const pointer = host.upload(isShort ? Uint16Array.from(words, (word) => word >>> 16) : values)
      const type = isShort ? bfloat16 : float32
      const layout = received((slot) =>
        expect(
          blas.cublasLtMatrixLayoutCreate(slot, type, BigInt(rows!), BigInt(columns!), BigInt(leading)),
        ).toBe(0),
      )
      attribute(layout, 105, int(batch))
      attribute(layout, 106, BigInt64Array.of(BigInt(step)))
      const at = (item: number, row: number, column: number) => item * step + column * leading + row
      return { pointer, layout, exact, at, size: values.length }
    }
    const [a, b, c] = [matrix("a", 1), matrix("b", 2), matrix("c", 3)]
    const description = received((slot) => {
      const compute = precision === "tf32" ? sumsOfTf32 : sumsOfFloat32
      expect(blas.cublasLtMatmulDescCreate(slot, compute, float32)).toBe(0)
    })
    attribute(description, 3, int(Number(transposedA)))
    attribute(description, 4, int(Number(transposedB)))
    const biasValues = noise(4, m)
    const biasPointer = host.upload(biasValues)
    if (bias) {
      attribute(description, 7, int(4))
      attribute(description, 8, BigUint64Array.of(biasPointer))
    }
    const preference = received((slot) => expect(blas.cublasLtMatmulPreferenceCreate(slot)).toBe(0))
    const prefer = (name: number, value: NodeJS.TypedArray) =>
      expect(
        blas.cublasLtMatmulPreferenceSetAttribute(preference, name, value, BigInt(value.byteLength)),
      ).toBe(0)
    prefer(1, BigUint64Array.of(1n << 22n))
    for (const name of [5, 6, 7, 8]) prefer(name, int(4))
    // Two results of the size of cublasLtMatmulHeuristicResult_t.
    const choices = new BigUint64Array(24)
    const found = int(0)
    const choose = () =>
      blas.cublasLtMatmulAlgoGetHeuristic(
        handle,
        description,
        a.layout,
        b.layout,
        c.layout,
        c.layout,
        preference,
        2,
        choices,
        found,
      )
    const workspace = host.allocate(1 << 22)
    const multiply = (given = { result: c.pointer, workspaceBytes: 1 << 22 }) =>
      blas.cublasLtMatmul(
        ...([handle, description, Float32Array.of(0.5), a.pointer, a.layout, b.pointer, b.layout] as const),
        ...([
          Float32Array.of(beta),
          c.pointer,
          c.layout,
          given.result,
          c.layout,
          choices,
          workspace,
        ] as const),
        BigInt(given.workspaceBytes),
        0n,
      )
    const expected = c.exact.slice()
    for (let item = 0; item < batch; item++) {
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let sum = 0
          for (let q = 0; q < k; q++) {
            const left = transposedA ? a.at(item, q, i) : a.at(item, i, q)
            const right = transposedB ? b.at(item, j, q) : b.at(item, q, j)
            sum += a.exact[left]! * b.exact[right]!
          }
          const before = beta * c.exact[c.at(item, i, j)]!
          expected[c.at(item, i, j)] = 0.5 * sum + before + (bias ? biasValues[i]! : 0)
        }
      }
    }
    const end = (): void => {
      host.ok(host.cuda.cuStreamSynchronize(0n))
      for (const pointer of [a.pointer, b.pointer, c.pointer, biasPointer, workspace]) host.free(pointer)
      for (const { layout } of [a, b, c]) expect(blas.cublasLtMatrixLayoutDestroy(layout)).toBe(0)
      expect(blas.cublasLtMatmulDescDestroy(description)).toBe(0)
      expect(blas.cublasLtMatmulPreferenceDestroy(preference)).toBe(0)
    }
    return { choose, choices, found, multiply, description, c, expected, end }
  }

  const plain: Product = {
    m: 37,
    n: 10,
    k: 29,
    transposed: [false, false],
    precision: "float32",
    batch: 1,
    bias: false,
    beta: 0,
  }
  const variants: readonly Partial<Product>[] = [
    {},
    { transposed: [true, false], bias: true },
    { transposed: [false, true], beta: 1 },
    { transposed: [true, true], precision: "tf32", beta: 0.25, bias: true },
    { precision: "bf16", transposed: [true, false], batch: 3 },
    { precision: "tf32", batch: 2, m: 64, n: 4, k: 1 },
  ]
  for (const variant of variants) {
    test(`multiplies as float64 does: ${JSON.stringify(variant)}`, () => {
      const product = prepare({ ...plain, ...variant })
      expect(product.choose()).toBe(0)
      expect(product.found[0]).toBe(1)
      expect(product.choices[8]).toBe(1n << 20n)
      expect(product.multiply()).toBe(0)
      // What lies between columns and matrices stays.
      const result = host.download(product.c.pointer, product.c.size)
      for (const [i, value] of product.expected.entries()) expect(result[i]!).toBeCloseTo(value, 4)
      product.end()
    })
  }

  test("is work of a stream, and counted", () => {
    const product = prepare(plain)
    product.choose()
    const before = host.counts()
    host.control("fail=1")
    expect(product.multiply()).toBe(13)
    expect(product.multiply()).toBe(0)
    const { calls, launches } = host.counts()
    const count = (table: Readonly<Record<string, number>>) => table["cublasLtMatmul"] ?? 0
    expect([count(calls) - count(before.calls), count(launches) - count(before.launches)]).toEqual([2, 1])
    product.end()
  })

  test("refuses what does not fit together", () => {
    const product = prepare({ ...plain, bias: true })
    host.control("products=plain")
    expect([product.choose(), product.found[0]]).toEqual([notSupported, 0])
    host.control("products=all")
    expect(product.choose()).toBe(0)
    expect(product.multiply({ result: product.c.pointer, workspaceBytes: 1 << 19 })).toBe(invalidValue)
    expect(product.multiply({ result: product.c.pointer + 2n, workspaceBytes: 1 << 22 })).toBe(notSupported)
    // The algorithm is for another operation.
    attribute(product.description, 7, int(1))
    expect(product.multiply()).toBe(invalidValue)
    // [10, 37] by [29, 10]
    attribute(product.description, 3, int(1))
    expect(product.choose()).toBe(invalidValue)
    host.control("products=none")
    attribute(product.description, 3, int(0))
    expect(product.choose()).toBe(notSupported)
    product.end()
    const slot = new BigUint64Array(1)
    expect(blas.cublasLtMatrixLayoutCreate(slot, 2, 4n, 4n, 4n)).toBe(notSupported)
    expect(blas.cublasLtMatmulDescCreate(slot, 64, float32)).toBe(notSupported)
  })
})
