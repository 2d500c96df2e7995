import { expect, test } from "bun:test"
import { sgd } from "../../../../core/tensor/optimisers/sgd.ts"
import { onEveryDefinition } from "../every-definition.ts"
import { expectClose, inFloat64, learningRate, optimised } from "./optimised.ts"

// torch.optim.SGD of PyTorch 2.14 in float64, lr 0.05, six updates.
const plain = {
  weight: [
    -0.036226053, 0.584750764, -0.683178281, 0.154422488, 0.483071789, -0.410924746, -0.307246587,
    -0.439877331, 0.799211782, 0.465664563, -1.439124554, 1.532731052,
  ],
  bias: [-0.577685955, 0.109560641, -0.094489301, 0.9204987, 0.923435189],
}
const momentum = {
  weight: [
    -0.069779682, 0.476807643, -0.554703529, 0.18876025, 0.452608577, -0.259690045, -0.334539459, -0.26654542,
    0.729856604, 0.484239035, -1.144551223, 1.217947085,
  ],
  bias: [-0.806846749, 0.138451448, -0.114895939, 1.283210878, 1.279030398],
}
const nesterov = {
  weight: [
    -0.099027767, 0.478378645, -0.554827754, 0.234699528, 0.49643657, -0.206188725, -0.396222085,
    -0.200986139, 0.788635594, 0.561215767, -1.127470973, 1.198994954,
  ],
  bias: [-0.854569812, 0.134384802, -0.107328541, 1.357058946, 1.345665092],
}

onEveryDefinition("sgd", () => {
  test.each([
    ["without momentum", { momentum: 0 }, plain],
    ["with momentum", {}, momentum],
    ["with Nesterov's momentum", { nesterov: true }, nesterov],
  ])("%s it is PyTorch's", (_, options, expected) => {
    expectClose(optimised(sgd(options)), expected)
    // Clipping scales gradients, not the velocity.
    expectClose(optimised(sgd(options), 0.25), expected)
  })

  test("weight decay is decoupled, as in float64", () => {
    const expected = inFloat64(() => {
      const velocity: number[] = []
      return (theta, gradient) => {
        for (const [i, g] of gradient.entries()) {
          velocity[i] = 0.8 * (velocity[i] ?? 0) + g
          theta[i] = theta[i]! * (1 - learningRate * 0.1) - learningRate * velocity[i]!
        }
      }
    })
    expectClose(optimised(sgd({ momentum: 0.8, weightDecay: 0.1 })), expected)
  })
})

test("options out of range are refused", () => {
  expect(() => sgd({ momentum: 1 })).toThrow("momentum must be less than 1")
})
