import { expect, test } from "bun:test"
import { holm } from "../../../../../plugins/report/shared/statistics/holm.ts"

test("Holm's adjustment by hand", () => {
  expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02])
  expect(holm([0.9, 0.8])).toEqual([1, 1])
  expect(holm([])).toEqual([])
})
