import { expect, test } from "bun:test"
import { fillDropoutMask, stream } from "../../../../core/tensor/stream.ts"
import { deviation, onEveryPath, withBuffers } from "./devices.ts"

const epsilon = 1e-3
const site = { stream: stream(7, "dropout"), site: 4, iteration: 6 }
const dropped = Float64Array.of(0.3, 7, site.stream.nameHash, site.site, site.iteration)
const none = new Float64Array()
const everyRow = new Int32Array()

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length

onEveryPath("layer normalisation", (deviceHere) => {
  // Rows that stay in registers of a GPU, and rows that do not.
  test.each([
    [3, 1],
    [70, 4],
    [5, 31],
    [3, 768],
    [2, 4096],
    [2, 4097],
    [1, 6000],
  ])("%i rows of %i features, and its gradients", (rows, hidden) => {
    withBuffers(deviceHere(), ({ device, given, empty, read }) => {
      const size = rows * hidden
      const [x, residual, dy] = [given(1, size), given(2, size), given(3, size)]
      const [gamma, beta] = [given(4, hidden), given(5, hidden)]
      const [y, normalised, rstd] = [empty(size), empty(size), empty(rows)]
      const indices = Int32Array.from({ length: rows }, (_, t) => 2 * t + 1)
      const mask = new Float32Array(2 * size)
      fillDropoutMask(mask, { ...site, rate: 0.3 })

      const expectNorm = (input: (t: number, h: number) => number) => {
        const expected = {
          y: new Float64Array(size),
          normalised: new Float64Array(size),
          rstd: [] as number[],
        }
        for (let t = 0; t < rows; t++) {
          const row = Array.from({ length: hidden }, (_, h) => input(t, h))
          const centre = mean(row)
          const inverse = 1 / Math.sqrt(mean(row.map((value) => (value - centre) ** 2)) + epsilon)
          expected.rstd.push(inverse)
          for (const [h, value] of row.entries()) {
            expected.normalised[t * hidden + h] = (value - centre) * inverse
            expected.y[t * hidden + h] = (value - centre) * inverse * gamma.values[h]! + beta.values[h]!
          }
        }
        expect(deviation(read(y, size), expected.y)).toBeLessThan(3e-6)
        expect(deviation(read(normalised, size), expected.normalised)).toBeLessThan(3e-6)
        expect(deviation(read(rstd, rows), expected.rstd)).toBeLessThan(1e-6)
      }

      device.layerNorm(x.handle, gamma.handle, beta.handle, epsilon, y, normalised, rstd)
      expectNorm((t, h) => x.values[t * hidden + h]!)
      for (const [list, at, kept] of [
        [none, everyRow, () => 1],
        [dropped, everyRow, (t: number, h: number) => mask[t * hidden + h]!],
        [dropped, indices, (t: number, h: number) => mask[indices[t]! * hidden + h]!],
      ] as const) {
        const [from, beside] = [x.handle, residual.handle]
        device.residualNorm(from, beside, gamma.handle, beta.handle, epsilon, list, at, y, normalised, rstd)
        expectNorm((t, h) => residual.values[t * hidden + h]! + x.values[t * hidden + h]! * kept(t, h))
      }

      const [dx, dGamma, dBeta] = [empty(size), empty(hidden), empty(hidden)]
      device.layerNormInputGradient(dy.handle, normalised, rstd, gamma.handle, dx)
      device.layerNormParameterGradients(dy.handle, normalised, dGamma, dBeta)
      const [hat, inverse] = [read(normalised, size), read(rstd, rows)]
      const expected = new Float64Array(size)
      const sums = { gamma: new Float64Array(hidden), beta: new Float64Array(hidden) }
      for (let t = 0; t < rows; t++) {
        const start = t * hidden
        const g = Array.from(gamma.values, (value, h) => value * dy.values[start + h]!)
        const [centre, along] = [mean(g), mean(g.map((value, h) => value * hat[start + h]!))]
        for (const [h, value] of g.entries()) {
          expected[start + h] = (value - centre - hat[start + h]! * along) * inverse[t]!
          sums.gamma[h]! += dy.values[start + h]! * hat[start + h]!
          sums.beta[h]! += dy.values[start + h]!
        }
      }
      expect(deviation(read(dx, size), expected)).toBeLessThan(hidden === 1 ? 1e-4 : 5e-6)
      // The same for the residual, and for x what dropout gives of it.
      const [dropping, dResidual] = [empty(size), empty(size)]
      for (const [list, at, kept] of [
        [none, everyRow, () => 1],
        [dropped, everyRow, (t: number, h: number) => mask[t * hidden + h]!],
        [dropped, indices, (t: number, h: number) => mask[indices[t]! * hidden + h]!],
      ] as const) {
        const [back, scale] = [dy.handle, gamma.handle]
        device.residualNormInputGradient(back, normalised, rstd, scale, list, at, dropping, dResidual)
        const whole = read(dx, size)
        expect(read(dResidual, size)).toEqual(whole)
        const left = whole.map((value, i) => value * kept(Math.floor(i / hidden), i % hidden))
        expect(read(dropping, size)).toEqual(left)
      }
      expect(deviation(read(dGamma, hidden), sums.gamma)).toBeLessThan(2e-6)
      expect(deviation(read(dBeta, hidden), sums.beta)).toBeLessThan(2e-6)
    })
  })

  test("of no rows has gradients of zero", () => {
    withBuffers(deviceHere(), ({ device, given, read }) => {
      const [nothing, gamma, dGamma, dBeta] = [given(1, 0), given(2, 5), given(3, 5), given(4, 5)]
      device.layerNorm(
        nothing.handle,
        gamma.handle,
        gamma.handle,
        epsilon,
        nothing.handle,
        nothing.handle,
        nothing.handle,
      )
      device.layerNormInputGradient(
        nothing.handle,
        nothing.handle,
        nothing.handle,
        gamma.handle,
        nothing.handle,
      )
      device.layerNormParameterGradients(nothing.handle, nothing.handle, dGamma.handle, dBeta.handle)
      expect([read(dGamma.handle, 5), read(dBeta.handle, 5)]).toEqual([
        new Float32Array(5),
        new Float32Array(5),
      ])
    })
  })

  test("adds the gradients of many rows precisely", () => {
    withBuffers(deviceHere(), ({ device, given, empty, read }) => {
      const [rows, hidden] = [1000, 3]
      const [dy, normalised] = [given(1, rows * hidden), given(2, rows * hidden)]
      const [dGamma, dBeta] = [empty(hidden), empty(hidden)]
      device.layerNormParameterGradients(dy.handle, normalised.handle, dGamma, dBeta)
      const expected = { gamma: new Float64Array(hidden), beta: new Float64Array(hidden) }
      for (const [i, value] of dy.values.entries()) {
        expected.gamma[i % hidden]! += value * normalised.values[i]!
        expected.beta[i % hidden]! += value
      }
      expect(deviation(read(dGamma, hidden), expected.gamma)).toBeLessThan(1e-6)
      expect(deviation(read(dBeta, hidden), expected.beta)).toBeLessThan(1e-6)
    })
  })
})
