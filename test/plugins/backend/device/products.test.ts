import { describe, expect, test } from "bun:test"
import { precisionNumbers } from "../../../../plugins/backend/device/device.ts"
import { deviation, onEveryPath, processors, withBuffers } from "./devices.ts"

/** op(a) op(b) in float64. */
const exact = (
  a: Float32Array,
  b: Float32Array,
  [m, n, k]: readonly [number, number, number],
  transposeA: boolean,
  transposeB: boolean,
): Float64Array => {
  const c = new Float64Array(m * n)
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0
      for (let l = 0; l < k; l++) {
        sum += a[transposeA ? l * m + i : i * k + l]! * b[transposeB ? j * k + l : l * n + j]!
      }
      c[i * n + j] = sum
    }
  }
  return c
}

/** Rounded to the nearest number with an 8-bit mantissa, ties to even. */
const bfloat16 = (values: Float32Array): Float32Array => {
  const bits = new Uint32Array(values.slice().buffer)
  const rounded = bits.map((word) => ((word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000) >>> 0)
  return new Float32Array(rounded.buffer)
}

const shapes = [
  [1, 1, 1],
  [1, 17, 3],
  [15, 33, 16],
  [17, 1, 129],
  [33, 31, 15],
  [14, 32, 64],
  [67, 67, 65],
  [100, 70, 801],
  [3, 5, 0],
  [0, 4, 2],
] as const

onEveryPath("matrix products", (deviceHere) => {
  for (const shape of shapes) {
    test.each([
      [false, false],
      [false, true],
      [true, false],
      [true, true],
    ])(`${shape} transposed %p, %p`, (transposeA, transposeB) => {
      const [m, n, k] = shape
      withBuffers(deviceHere(), ({ device, given, empty, read }) => {
        const [a, b, c] = [given(1, m * k), given(2, k * n), empty(m * n)]
        device.matmul(a.handle, b.handle, c, 1, m, n, k, transposeA, transposeB, precisionNumbers.fp32)
        const found = read(c, m * n)
        expect(deviation(found, exact(a.values, b.values, shape, transposeA, transposeB))).toBeLessThan(2e-6)
        device.matmul(a.handle, b.handle, c, 1, m, n, k, transposeA, transposeB, precisionNumbers.bf16)
        const rounded = exact(bfloat16(a.values), bfloat16(b.values), shape, transposeA, transposeB)
        expect(deviation(read(c, m * n), rounded)).toBeLessThan(2e-6)
      })
    })
  }

  test.each([3, 9])("a batch of %i, with separate factors and with a shared one", (batch) => {
    const [m, n, k] = [5, 18, 7]
    withBuffers(deviceHere(), ({ device, given, empty, read }) => {
      const [a, b, one, c] = [
        given(1, batch * m * k),
        given(2, batch * k * n),
        given(3, k * n),
        empty(batch * m * n),
      ]
      device.matmul(a.handle, b.handle, c, batch, m, n, k, false, false, precisionNumbers.fp32)
      const own = read(c, batch * m * n)
      device.matmul(a.handle, one.handle, c, batch, m, n, k, false, false, precisionNumbers.fp32)
      const shared = read(c, batch * m * n)
      for (let i = 0; i < batch; i++) {
        const left = a.values.subarray(i * m * k, (i + 1) * m * k)
        const right = b.values.subarray(i * k * n, (i + 1) * k * n)
        const part = (all: Float32Array) => all.subarray(i * m * n, (i + 1) * m * n)
        expect(deviation(part(own), exact(left, right, [m, n, k], false, false))).toBeLessThan(2e-6)
        expect(deviation(part(shared), exact(left, one.values, [m, n, k], false, false))).toBeLessThan(2e-6)
      }
    })
  })
})

describe.each(processors)("matrix products, built for $target", ({ device: processor }) => {
  test("one thread and four give the same bits", () => {
    const [m, n, k] = [201, 170, 500]
    withBuffers(processor, ({ given, empty, read }) => {
      const [a, b, c] = [given(1, m * k), given(2, k * n), empty(m * n)]
      const [one, four] = [1, 4].map((threads) => {
        processor.setThreads(threads)
        processor.matmul(a.handle, b.handle, c, 1, m, n, k, false, true, precisionNumbers.fp32)
        return read(c, m * n)
      })
      processor.setThreads(1)
      expect(four).toEqual(one!)
    })
  })
})
