import { expect, test } from "bun:test"
import { deviation, onEveryPath, withBuffers } from "./devices.ts"

/** −ln softmax(row)[label], and its gradient. */
const crossEntropy = (row: readonly number[], label: number) => {
  const largest = Math.max(...row)
  const sum = row.reduce((total, x) => total + Math.exp(x - largest), 0)
  return {
    loss: Math.log(sum) + largest - row[label]!,
    gradient: row.map((x, c) => Math.exp(x - largest) / sum - (c === label ? 1 : 0)),
  }
}

onEveryPath("losses", (deviceHere) => {
  test.each([
    [1, 1],
    [5, 2],
    [300, 3],
    [4, 1023],
    [2, 5001],
  ])("softmax cross-entropy of %i rows of %i classes", (rows, classes) => {
    withBuffers(deviceHere(), ({ device, given, empty, read }) => {
      const logits = given(1, rows * classes)
      // Some far apart.
      const scaled = logits.values.map((x, i) => (i % 5 === 0 ? 40 * x : x))
      device.write(logits.handle, scaled)
      const labels = Int32Array.from({ length: rows }, (_, n) => (13 * n) % classes)
      const [loss, gradient] = [empty(1), empty(rows * classes)]
      device.softmaxCrossEntropy(logits.handle, labels, loss, gradient)
      const each = Array.from({ length: rows }, (_, n) =>
        crossEntropy([...scaled.subarray(n * classes, (n + 1) * classes)], labels[n]!),
      )
      const mean = each.reduce((sum, { loss }) => sum + loss, 0) / rows
      expect(deviation(read(loss, 1), [mean])).toBeLessThan(1e-6)
      const expected = each.flatMap(({ gradient }) => gradient.map((x) => x / rows))
      expect(deviation(read(gradient, rows * classes), expected)).toBeLessThan(2e-7)
    })
  })

  test("a loss that is not a number stays so", () => {
    withBuffers(deviceHere(), ({ device, given, empty, read }) => {
      const [logits, loss, gradient] = [given(1, 6), empty(1), empty(6)]
      device.write(logits.handle, Float32Array.of(1, 2, 3, 4, Number.NaN, 5))
      device.softmaxCrossEntropy(logits.handle, Int32Array.of(0, 2), loss, gradient)
      expect(read(loss, 1)[0]).toBeNaN()
    })
  })

  test.each([
    [1, 4],
    [3, 7],
    [40, 130],
  ])("InfoNCE of %i pairs of vectors of %i numbers", (rows, width) => {
    const temperature = 0.05
    withBuffers(deviceHere(), ({ device, given, empty, read }) => {
      const size = rows * width
      const [z1, z2] = [given(1, size), given(2, size)]
      const [loss, dz1, dz2] = [empty(1), empty(size), empty(size)]
      device.infoNCE(z1.handle, z2.handle, temperature, rows, loss, dz1, dz2)

      const vectors = ({ values }: { values: Float32Array }) =>
        Array.from({ length: rows }, (_, n) => [...values.subarray(n * width, (n + 1) * width)])
      const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0)
      const [first, second] = [vectors(z1), vectors(z2)]
      const units = (all: readonly number[][]) => all.map((v) => v.map((x) => x / Math.sqrt(dot(v, v))))
      const [u1, u2] = [units(first), units(second)]
      const each = u1.map((u, n) =>
        crossEntropy(
          u2.map((v) => dot(u, v) / temperature),
          n,
        ),
      )
      expect(deviation(read(loss, 1), [each.reduce((sum, { loss }) => sum + loss, 0) / rows])).toBeLessThan(
        2e-6,
      )

      /** From the gradients with respect to cosines, those of one side. */
      const through = (cosine: (n: number, j: number) => number, others: number[][], own: number[][]) =>
        own.flatMap((vector, n) => {
          const length = Math.sqrt(dot(vector, vector))
          const unit = vector.map((x) => x / length)
          const gradient = unit.map((_, i) =>
            others.reduce((sum, other, j) => sum + cosine(n, j) * other[i]!, 0),
          )
          const along = dot(gradient, unit)
          return gradient.map((x, i) => (x - unit[i]! * along) / length)
        })
      const d = (n: number, j: number) => each[n]!.gradient[j]! / rows / temperature
      expect(deviation(read(dz1, size), through(d, u2, first))).toBeLessThan(5e-6)
      expect(
        deviation(
          read(dz2, size),
          through((n, j) => d(j, n), u1, second),
        ),
      ).toBeLessThan(5e-6)
    })
  })
})
