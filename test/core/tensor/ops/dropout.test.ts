import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { dropout } from "../../../../core/tensor/ops/dropout.ts"
import { fillDropoutMask, stream } from "../../../../core/tensor/stream.ts"
import { holdAgainstFloat64 } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

onEveryDefinition("dropout", () => {
  const draw = { stream: stream(3, "dropout"), site: 2, iteration: 11 }

  test.each([1, 15, 33])("%i numbers use the mask of the draw in both passes", (count) => {
    const mask = new Float32Array(count)
    fillDropoutMask(mask, { ...draw, rate: 0.4 })
    holdAgainstFloat64({
      inputs: { x: { rows: 1, columns: count } },
      op: (get) => dropout(get("x"), { ...draw, rate: 0.4 }),
      exact: (get) => get("x").values.map((x, index) => x * mask[index]!),
    })
  })

  test("a rate of 0 returns a new tensor with the same values", () => {
    const x = tf.tensor1d([1, 2])
    const y = dropout(x, { ...draw, rate: 0 })
    x.dispose()
    expect([...y.dataSync()]).toEqual([1, 2])
    y.dispose()
  })
})
