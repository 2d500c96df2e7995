/** Two views of eight sentences, and what a loss gives for them, to be compared with float64. */
import * as tf from "@tensorflow/tfjs-core"
import { normal, stream } from "../../../core/tensor/stream.ts"
import type { ContrastivePlugin } from "../../../plugins/testing/testing.ts"

const count = 8
const hidden = 6
const drawn = (site: number) => normal({ stream: stream(1, "views"), site, iteration: 0 }, count * hidden, 1)
const values = [drawn(0), drawn(1)] as const

/** The rows of the two views, of length 1: no loss here depends on lengths. */
export const unitViews = values.map((view) =>
  Array.from({ length: count }, (_, n) => {
    const row = [...view.subarray(n * hidden, (n + 1) * hidden)]
    const length = Math.hypot(...row)
    return row.map((value) => value / length)
  }),
) as [number[][], number[][]]

/** The loss of the two views; with `equal`, of the first one and itself. */
export const lossOf = <S>(
  { options: schema, contrast }: ContrastivePlugin<S>,
  options: object,
  equal = false,
) =>
  tf.tidy(() => {
    const [first_NH, second_NH] = values.map((view) => tf.tensor2d(view, [count, hidden]))
    const loss = contrast.loss(
      {
        first_NH: first_NH!,
        second_NH: equal ? first_NH! : second_NH!,
        indices_N: Int32Array.from({ length: count }, (_, n) => n),
        parameter: () => {
          throw new Error("this loss has no parameters of its own")
        },
      },
      schema({ steps: 1, ...options }) as never,
    )
    return loss.dataSync()[0]!
  })

export const dot = (x: readonly number[], y: readonly number[]): number =>
  x.reduce((sum, value, i) => sum + value * y[i]!, 0)
export const mean = (of: readonly number[]): number => of.reduce((sum, value) => sum + value, 0) / of.length
