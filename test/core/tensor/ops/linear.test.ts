import { test } from "bun:test"
import { linear } from "../../../../core/tensor/ops/linear.ts"
import { at, holdAgainstFloat64, matrix, multiply, transposed } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

onEveryDefinition("linear", () => {
  test.each([
    [1, 1, 1],
    [1, 17, 3],
    [15, 4, 33],
    [33, 16, 17],
    [1, 33, 128],
    [128, 1, 2],
  ])("%i tokens, %i to %i features", (tokens, width, features) => {
    holdAgainstFloat64({
      inputs: {
        x: { rows: tokens, columns: width },
        weight: { rows: features, columns: width },
        bias: { rows: 1, columns: features, vector: true },
      },
      op: (get) => linear(get("x"), get("weight"), get("bias")),
      exact: (get) => {
        const y = multiply(get("x"), transposed(get("weight")))
        return matrix(tokens, features, (t, o) => at(y, t, o) + at(get("bias"), 0, o)).values
      },
    })
  })
})
