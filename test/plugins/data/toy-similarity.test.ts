import { expect, test } from "bun:test"
import { toySimilarity } from "../../../plugins/data/toy-similarity.ts"
import { give, vocabulary } from "./toy-running.ts"

test("the plugin gives one set of scored pairs, spread over 0 to 5", async () => {
  const { sets } = await give(toySimilarity({ vocabulary }))
  expect(sets.map(({ name, scores }) => [name, scores.length])).toEqual([["toy", 500]])
  const { scores } = sets[0]!
  for (const score of scores) expect(score >= 0 && score <= 5).toBe(true)
  expect(scores.filter((score) => score > 4).length).toBeGreaterThan(80)
  expect(scores.filter((score) => score < 1.5).length).toBeGreaterThan(80)
})
