import { expect, test } from "bun:test"
import quickstart from "../../pipelines/quickstart.ts"

const small = quickstart.parameters.assert({})

test("rates or arms that stand twice are refused: their runs would count twice", () => {
  expect(() => quickstart.build({ ...small, lr: [1e-5, 2e-5, 1e-5] })).toThrow("lr has 1e-5 twice")
  expect(() => quickstart.build({ ...small, dropout: [0.1, 0.1] })).toThrow("arm has SimCSE(0.1) twice")
})
