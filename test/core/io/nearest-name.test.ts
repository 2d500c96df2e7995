import { expect, test } from "bun:test"
import { nearestName, unknownName } from "../../../core/io/nearest-name.ts"

test("the nearest name is one edit away, or two where the name is long", () => {
  const known = ["seed", "seeds", "lr"]
  expect(nearestName("seedz", known)).toBe("seed")
  expect(nearestName("sseds", known)).toBe("seeds")
  expect(nearestName("ssed", known)).toBe("seed")
  expect(nearestName("rl", known)).toBe("lr")
  expect(nearestName("rate", known)).toBeUndefined()
  expect(nearestName("wat", ["data"])).toBeUndefined()
  expect(nearestName("classifcaton", ["classification"])).toBe("classification")
})

test("an unknown name is told with what may have been meant, or else with all that are known", () => {
  expect(unknownName("plugin", "fishr", ["fisher", "mlm"])).toBe(
    "there is no plugin fishr; did you mean fisher?",
  )
  expect(unknownName("plugin", "x", ["fisher", "mlm"])).toBe("there is no plugin x; known are fisher, mlm")
})
