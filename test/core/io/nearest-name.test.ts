import { expect, test } from "bun:test"
import { nearestName, unknownName } from "../../../core/io/nearest-name.ts"

test("the nearest name is at most one edit away, or two if the name is long", () => {
  const known = ["seed", "seeds", "lr"]
  expect(nearestName("seedz", known)).toBe("seed")
  expect(nearestName("sseds", known)).toBe("seeds")
  expect(nearestName("ssed", known)).toBe("seed")
  expect(nearestName("rl", known)).toBe("lr")
  expect(nearestName("rate", known)).toBeUndefined()
  expect(nearestName("wat", ["data"])).toBeUndefined()
  expect(nearestName("classifcaton", ["classification"])).toBe("classification")
})

test("an unknown name is reported with the one probably meant, or else with all known names", () => {
  expect(unknownName("plugin", "fishr", ["fisher", "mlm"])).toBe(
    "there is no plugin fishr; did you mean fisher?",
  )
  expect(unknownName("plugin", "x", ["fisher", "mlm"])).toBe("there is no plugin x; known: fisher, mlm")
})

test("a name of any length is compared at once", () => {
  expect(nearestName("a".repeat(1e6), ["seeds", "lr", "b".repeat(1e5)])).toBeUndefined()
})
