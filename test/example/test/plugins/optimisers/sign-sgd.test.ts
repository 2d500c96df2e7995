import { testOptimiser } from "kasosei/testing"
import { signSgd } from "../../../plugins/optimisers/sign-sgd.ts"

testOptimiser(signSgd, {
  options: { weightDecay: 0.1 },
  learningRate: 3e-3,
  reference: () => {
    const m: number[] = []
    return (theta, gradient, { learningRate }) => {
      for (const [i, g] of gradient.entries()) {
        m[i] = 0.9 * (m[i] ?? 0) + 0.1 * g
        theta[i] = theta[i]! * (1 - learningRate * 0.1) - learningRate * Math.sign(m[i]!)
      }
    }
  },
})
