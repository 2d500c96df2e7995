import { expect, test } from "bun:test"
import { likeness } from "../../../../../plugins/data/shared/toy/likeness.ts"
import type { Clause } from "../../../../../plugins/data/shared/toy/meaning.ts"

const phrase = (head: string) => ({ head, adjective: null })
const clause: Clause = {
  negative: false,
  every: false,
  subject: phrase("anna"),
  verb: "fed",
  object: phrase("robin"),
  place: null,
}

test("similarity is 5 for equal meanings, and 5 times the Jaccard index otherwise", () => {
  expect(likeness([clause], [clause])).toBe(5)
  // In common: affirmed; anna, woman, adult, person; bird, animal; fed, helped, was. Not in common: robin, sparrow.
  expect(likeness([clause], [{ ...clause, object: phrase("sparrow") }])).toBeCloseTo((5 * 10) / 12, 12)
  expect(likeness([clause], [{ ...clause, negative: true }])).toBeCloseTo((5 * 10) / 12, 12)
})
