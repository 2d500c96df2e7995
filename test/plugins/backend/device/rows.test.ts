import { expect, test } from "bun:test"
import { deviation, onEveryPath, withBuffers } from "./devices.ts"

onEveryPath("rows of a table", (deviceHere) => {
  test.each([1, 3, 4, 130])("of %i numbers are gathered, spread and summed", (width) => {
    const [tableRows, count] = [50, 300]
    const ids = Int32Array.from({ length: count }, (_, n) => (7 * n + 3) % tableRows)
    // Most in one slot, and none in the last ones.
    const slots = ids.map((id, n) => (n % 4 === 0 ? id % 20 : 2))
    withBuffers(deviceHere(), ({ device, given, empty, read }) => {
      const [table, rows] = [given(1, tableRows * width), empty(count * width)]
      device.gatherRows(table.handle, ids, rows)
      const gathered = read(rows, count * width)
      expect(gathered).toEqual(
        gathered.map((_, i) => table.values[ids[Math.floor(i / width)]! * width + (i % width)]!),
      )

      const sums = empty(25 * width)
      device.sumIntoRows(rows, slots, sums)
      const expected = new Float64Array(25 * width)
      for (const [i, value] of gathered.entries()) {
        expected[slots[Math.floor(i / width)]! * width + (i % width)]! += value
      }
      expect(deviation(read(sums, 25 * width), expected)).toBeLessThan(1e-6)

      const some = Int32Array.of(0, 3, 49)
      const [three, spread] = [given(2, 3 * width), empty(tableRows * width)]
      device.spreadRows(three.handle, some, spread)
      const whole = new Float32Array(tableRows * width)
      for (const [n, id] of some.entries()) {
        whole.set(three.values.subarray(n * width, (n + 1) * width), id * width)
      }
      expect(read(spread, tableRows * width)).toEqual(whole)
    })
  })

  test("that nothing is summed into, or spread to, are zeros", () => {
    withBuffers(deviceHere(), ({ device, given, read }) => {
      const [none, some, others] = [given(1, 0), given(2, 6), given(3, 8)]
      device.sumIntoRows(none.handle, new Int32Array(), some.handle)
      device.spreadRows(none.handle, new Int32Array(), others.handle)
      device.gatherRows(others.handle, new Int32Array(), none.handle)
      expect([read(some.handle, 6), read(others.handle, 8)]).toEqual([
        new Float32Array(6),
        new Float32Array(8),
      ])
    })
  })
})
