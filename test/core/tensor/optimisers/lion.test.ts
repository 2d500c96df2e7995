import { test } from "bun:test"
import { lion } from "../../../../core/tensor/optimisers/lion.ts"
import { onEveryDefinition } from "../every-definition.ts"
import { expectClose, inFloat64, learningRate, optimised } from "./optimised.ts"

onEveryDefinition("lion", () => {
  test.each([
    [0.9, 0.99, 0],
    [0.5, 0.7, 0.1],
  ])(
    "with β₁ %p, β₂ %p and weight decay %p it is the paper's, as in float64",
    (beta1, beta2, weightDecay) => {
      const expected = inFloat64(() => {
        const m: number[] = []
        return (theta, gradient) => {
          for (const [i, g] of gradient.entries()) {
            const direction = Math.sign(beta1 * (m[i] ?? 0) + (1 - beta1) * g)
            theta[i] = theta[i]! - learningRate * (direction + weightDecay * theta[i]!)
            m[i] = beta2 * (m[i] ?? 0) + (1 - beta2) * g
          }
        }
      })
      const options = { beta1, beta2, weightDecay }
      expectClose(optimised(lion(options)), expected)
      expectClose(optimised(lion(options), 8), expected)
    },
  )
})
