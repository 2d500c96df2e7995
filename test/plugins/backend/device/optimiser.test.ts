import { expect, test } from "bun:test"
import type { Handle } from "../../../../plugins/backend/device/device.ts"
import { onEveryPath, withBuffers } from "./devices.ts"

/** [rows, width] of tensors of every kind: vectors, tables, narrow rows, rows that are long, and none at all. */
const shapes = [
  [1, 5],
  [1, 20_001],
  [100, 1],
  [40, 12],
  [70, 33],
  [9, 1024],
  [3, 5000],
  [0, 7],
] as const

onEveryPath("the optimiser", (deviceHere) => {
  test("takes the norm of tensors of all shapes", () => {
    withBuffers(deviceHere(), ({ device, given, empty, read }) => {
      const tensors = shapes.map(([rows, width], site) => given(site, rows * width))
      const norm = empty(1)
      const list = tensors.flatMap(({ handle }, i) => [handle, shapes[i]![1]])
      device.globalNorm(Float64Array.from(list), new Float64Array(), norm)
      const squares = tensors.map(({ values }) => values.reduce((sum, x) => sum + x * x, 0))
      const expected = Math.sqrt(squares.reduce((sum, x) => sum + x, 0))
      expect(Math.abs(read(norm, 1)[0]! / expected - 1)).toBeLessThan(3e-7)
    })
  })

  test.each([1, 12, 33, 5000])("rows of %i zeros do not change a bit of the norm", (width) => {
    withBuffers(deviceHere(), ({ device, given, empty, read }) => {
      const [rows, count] = [7, 31]
      const [some, all] = [given(1, rows * width), empty(count * width)]
      device.spreadRows(some.handle, Int32Array.of(0, 2, 3, 11, 12, 29, 30), all)
      const normOf = (handle: Handle) => {
        const norm = empty(1)
        device.globalNorm(Float64Array.of(handle, width), new Float64Array(), norm)
        return read(norm, 1)[0]
      }
      expect(normOf(all)).toBe(normOf(some.handle))
    })
  })

  test("finds whether a watched number or the norm is finite", () => {
    withBuffers(deviceHere(), ({ device, given, empty, read }) => {
      const [x, watched, norm] = [given(1, 100), empty(1), empty(1)]
      const list = Float64Array.of(x.handle, 100)
      for (const [value, isNumber] of [
        [-1e30, true],
        [Number.NaN, false],
        [Number.NEGATIVE_INFINITY, false],
      ] as const) {
        device.write(watched, Float32Array.of(value))
        device.globalNorm(list, Float64Array.of(watched), norm)
        expect(Number.isNaN(read(norm, 1)[0])).toBe(!isNumber)
      }
      device.write(x.handle, new Float32Array(100).fill(1e25))
      device.globalNorm(list, new Float64Array(), norm)
      expect(read(norm, 1)[0]).toBe(Number.POSITIVE_INFINITY)
      device.globalNorm(new Float64Array(), new Float64Array(), norm)
      expect(read(norm, 1)[0]).toBe(0)
    })
  })
})
