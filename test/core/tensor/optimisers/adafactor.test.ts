import { test } from "bun:test"
import { adafactor } from "../../../../core/tensor/optimisers/adafactor.ts"
import { onEveryDefinition } from "../every-definition.ts"
import { expectClose, inFloat64, learningRate, optimised } from "./optimised.ts"

// transformers' Adafactor(lr=0.05, scale_parameter=False, relative_step=False, weight_decay=0.1) in float64, six updates.
const expected = {
  weight: [
    -0.087895786, 0.563809282, -0.638481669, 0.207801857, 0.4857335, -0.399780894, -0.320103837, -0.421437823,
    0.79388259, 0.457080339, -1.373121053, 1.478252347,
  ],
  bias: [-0.663115965, 0.117386485, -0.101920622, 0.95614775, 0.963875064],
}

onEveryDefinition("adafactor", () => {
  test("it is that of transformers with a given learning rate", () => {
    expectClose(optimised(adafactor({ weightDecay: 0.1 })), expected)
    expectClose(optimised(adafactor({ weightDecay: 0.1 }), 4), expected)
  })

  test("it is that of the paper, as in float64", () => {
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
    const expected = inFloat64((name) => {
      const [height, width] = name === "weight" ? [3, 4] : [5, 1]
      const at = (r: number, c: number) => r * width + c
      const rows = new Array<number>(height).fill(0)
      const columns = new Array<number>(width).fill(0)
      return (theta, gradient, step) => {
        const rest = step ** -0.6
        for (const r of rows.keys()) {
          rows[r] = (1 - rest) * rows[r]! + rest * mean(columns.map((_, c) => gradient[at(r, c)]! ** 2))
        }
        for (const c of columns.keys()) {
          columns[c] = (1 - rest) * columns[c]! + rest * mean(rows.map((_, r) => gradient[at(r, c)]! ** 2))
        }
        // The second moment of entry r, c is rows[r] · columns[c] / mean(rows).
        const u = gradient.map((g, i) => {
          const [r, c] = [Math.floor(i / width), i % width]
          return g / Math.sqrt((rows[r]! * columns[c]!) / mean(rows))
        })
        const size = Math.max(1, Math.sqrt(mean(u.map((value) => value ** 2))))
        for (const [i, value] of u.entries()) theta[i] = theta[i]! - (learningRate * value) / size
      }
    })
    expectClose(optimised(adafactor({ decay: 0.6 })), expected)
  })
})
