import { expect, test } from "bun:test"
import { type Dropout, fillDropoutMask, stream } from "../../../../core/tensor/stream.ts"
import { onEveryPath, withBuffers } from "./devices.ts"

const operations = {
  add: (a: number, b: number) => a + b,
  subtract: (a: number, b: number) => a - b,
  multiply: (a: number, b: number) => a * b,
} as const

const dropped: Dropout = { rate: 0.3, stream: stream(7, "dropout"), site: 4, iteration: 2 ** 33 + 5 }
const list = Float64Array.of(0.3, 7, dropped.stream.nameHash, 4, 2 ** 33 + 5)

onEveryPath("elementwise kernels", (deviceHere) => {
  test.each([
    [1, 1],
    [3, 3],
    [4, 1],
    [5000, 5000],
    [5003, 1],
    [5000, 8],
    [4998, 7],
    [5001, 5001],
    [0, 0],
  ])("combine %i numbers with %i", (size, width) => {
    for (const [name, operation] of Object.entries(operations)) {
      withBuffers(deviceHere(), ({ device, given, empty, read }) => {
        const [a, b, out] = [given(1, size), given(2, width), empty(size)]
        const expected = a.values.map((x, i) => operation(x, b.values[i % width]!))
        device[name as keyof typeof operations](a.handle, b.handle, out)
        expect(read(out, size)).toEqual(expected)
        device[name as keyof typeof operations](a.handle, b.handle, a.handle)
        expect(read(a.handle, size)).toEqual(expected)
      })
    }
  })

  test.each([0, 1, 6, 5001])("fill %i numbers", (size) => {
    withBuffers(deviceHere(), ({ device, given, read }) => {
      const { handle } = given(1, size)
      device.fill(handle, -2.5)
      expect(read(handle, size)).toEqual(new Float32Array(size).fill(-2.5))
    })
  })

  test.each([
    [1, 1],
    [1, 70],
    [70, 1],
    [33, 31],
    [64, 96],
    [65, 130],
  ])("transpose a matrix [%i, %i]", (rows, columns) => {
    withBuffers(deviceHere(), ({ device, given, empty, read }) => {
      const [x, y] = [given(1, rows * columns), empty(rows * columns)]
      device.transpose(x.handle, y, rows)
      const expected = x.values.map((_, i) => x.values[(i % rows) * columns + Math.floor(i / rows)]!)
      expect(read(y, rows * columns)).toEqual(expected)
    })
  })

  test.each([1, 6, 7, 12])("drop numbers of some rows of %i as of the whole matrix", (width) => {
    const indices = Int32Array.from({ length: 40 }, (_, n) => 3 * n + 1)
    const mask = new Float32Array(width * 121)
    fillDropoutMask(mask, dropped)
    withBuffers(deviceHere(), ({ device, given, empty, read }) => {
      const [x, y] = [given(1, 40 * width), empty(40 * width)]
      device.dropout(x.handle, y, list, indices)
      const expected = x.values.map(
        (value, i) => value * mask[indices[Math.floor(i / width)]! * width + (i % width)]!,
      )
      expect(read(y, 40 * width)).toEqual(expected)
      device.dropout(x.handle, y, new Float64Array(), indices)
      expect(read(y, 40 * width)).toEqual(x.values)
    })
  })

  test.each([0, 1, 5, 5003])("the hyperbolic tangent of %i numbers, and its gradient", (size) => {
    withBuffers(deviceHere(), ({ device, given, empty, read }) => {
      const [x, dy, y, dx] = [given(1, size), given(2, size), empty(size), empty(size)]
      // On both sides of where it is a polynomial.
      device.write(
        x.handle,
        x.values.map((value, i) => (i % 3) * value),
      )
      device.tanh(x.handle, y)
      device.tanhGradient(dy.handle, y, dx)
      const found = { y: read(y, size), dx: read(dx, size) }
      for (const [i, value] of x.values.entries()) {
        const expected = Math.tanh((i % 3) * value)
        expect(Math.abs(found.y[i]! - expected)).toBeLessThanOrEqual(1.5e-7 * Math.abs(expected))
        expect(Math.abs(found.dx[i]! - (1 - found.y[i]! ** 2) * dy.values[i]!)).toBeLessThan(1e-6)
      }
    })
  })

  test("the hyperbolic tangent of large numbers, of 0 and of NaN", () => {
    withBuffers(deviceHere(), ({ device, given, read }) => {
      const { handle } = given(1, 8)
      const points = [Number.NEGATIVE_INFINITY, -1e30, -9.5, -0, 0, 50, Number.POSITIVE_INFINITY, Number.NaN]
      device.write(handle, Float32Array.from(points))
      device.tanh(handle, handle)
      expect([...read(handle, 8)]).toEqual([-1, -1, -1, -0, 0, 1, 1, Number.NaN])
    })
  })
})
