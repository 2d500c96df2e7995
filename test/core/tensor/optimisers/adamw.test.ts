import { test } from "bun:test"
import { adamw } from "../../../../core/tensor/optimisers/adamw.ts"
import { onEveryDefinition } from "../every-definition.ts"
import { expectClose, inFloat64, learningRate, optimised } from "./optimised.ts"

// torch.optim.AdamW of PyTorch 2.14 in float64, lr 0.05, weight_decay 0.1, eps 1e-12, six updates. PyTorch's decay comes
// before the update, here it comes after it; with ε near 0 it is the same up to lr² · weight decay.
const pytorch = {
  weight: [
    -0.067737676, 0.395837854, -0.488162773, 0.154610689, 0.452929878, -0.358295721, -0.279689214,
    -0.407177994, 0.739513774, 0.413449921, -1.23087009, 1.325186227,
  ],
  bias: [-0.746890968, 0.158156195, -0.135993356, 1.038903213, 1.043593616],
}

onEveryDefinition("adamw", () => {
  test("with bias correction it is close to PyTorch's, and equals its formula in float64", () => {
    const found = optimised(adamw({ weightDecay: 0.1, epsilon: 1e-12 }))
    expectClose(found, pytorch, 6 * learningRate ** 2 * 0.1)
    const expected = inFloat64(() => {
      const m: number[] = []
      const v: number[] = []
      return (theta, gradient, t) => {
        for (const [i, g] of gradient.entries()) {
          m[i] = 0.9 * (m[i] ?? 0) + 0.1 * g
          v[i] = 0.999 * (v[i] ?? 0) + 0.001 * g * g
          const correction = Math.sqrt(1 - 0.999 ** t) / (1 - 0.9 ** t)
          const moved = theta[i]! - (learningRate * correction * m[i]!) / (Math.sqrt(v[i]!) + 1e-12)
          theta[i] = moved * (1 - learningRate * 0.1)
        }
      }
    })
    expectClose(found, expected)
  })
})
