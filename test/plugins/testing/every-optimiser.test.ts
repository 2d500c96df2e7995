/** Every optimiser of this project keeps what `testOptimiser` tests. What they compute is compared in their own tests. */
import { expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { adafactor } from "../../../core/tensor/optimisers/adafactor.ts"
import { adamw } from "../../../core/tensor/optimisers/adamw.ts"
import { lion } from "../../../core/tensor/optimisers/lion.ts"
import { sgd } from "../../../core/tensor/optimisers/sgd.ts"
import { testOptimiser } from "../../../plugins/testing/testing.ts"

testOptimiser(adafactor, { options: { weightDecay: 0.1 } })
testOptimiser(adamw, {
  options: { biasCorrection: false, weightDecay: 0.1 },
  reference: () => {
    const m: number[] = []
    const v: number[] = []
    return (theta, gradient, { learningRate }) => {
      for (const [i, g] of gradient.entries()) {
        m[i] = 0.9 * (m[i] ?? 0) + 0.1 * g
        v[i] = 0.999 * (v[i] ?? 0) + 0.001 * g * g
        const moved = theta[i]! - (learningRate * m[i]!) / (Math.sqrt(v[i]!) + 1e-6)
        theta[i] = moved * (1 - learningRate * 0.1)
      }
    }
  },
})
testOptimiser(lion, { learningRate: 3e-3, options: { weightDecay: 0.1 } })
testOptimiser(sgd, {
  options: { nesterov: true, weightDecay: 0.1 },
  reference: () => {
    const velocity: number[] = []
    return (theta, gradient, { learningRate }) => {
      for (const [i, g] of gradient.entries()) {
        velocity[i] = 0.9 * (velocity[i] ?? 0) + g
        theta[i] = theta[i]! * (1 - learningRate * 0.1) - learningRate * (g + 0.9 * velocity[i]!)
      }
    }
  },
})

test("none of the optimisers is missing", () => {
  const folder = join(import.meta.dir, "..", "..", "..", "core", "tensor", "optimisers")
  const tested = [adafactor({}), adamw({}), lion({}), sgd({})].map(({ module }) => fileURLToPath(module))
  expect(
    readdirSync(folder)
      .sort()
      .map((file) => join(folder, file)),
  ).toEqual(tested)
})
