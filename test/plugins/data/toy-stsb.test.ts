import { describe, expect, test } from "bun:test"
import { pearson } from "../../../core/artifacts/metrics/pearson.ts"
import { toyStsb } from "../../../plugins/data/toy-stsb.ts"
import { give, sentencesOf, unknowns, vocabulary } from "./toy-running.ts"

describe("scored pairs", () => {
  test("by default they have RTE's sizes, and scores from 0 to 5 of two segments", async () => {
    const { train, dev, labelNames, metrics } = await give(toyStsb({ vocabulary }))
    expect([labelNames, metrics]).toEqual([null, ["pearson", "spearman"]])
    expect([train.labels.length, dev.labels.length]).toEqual([2490, 277])
    expect(unknowns(train.sequences) + unknowns(dev.sequences)).toBe(0)
    for (const label of train.labels) expect(label >= 0 && label <= 5).toBe(true)
    for (const [first, second] of sentencesOf(train.sequences)) {
      expect([first, second]).not.toContain("")
    }
    expect(new Set(train.labels).size).toBeGreaterThan(50)
  })

  test("the score is more than a count of shared words", async () => {
    const { train } = await give(toyStsb({ vocabulary, train: 2000 }))
    const shared = sentencesOf(train.sequences).map(([first, second]) => {
      const [one, other] = [new Set(first.split(" ")), new Set(second.split(" "))]
      return one.intersection(other).size / one.union(other).size
    })
    const correlation = pearson(shared, train.labels)
    expect(correlation).toBeGreaterThan(0.3)
    expect(correlation).toBeLessThan(0.9)
  })

  test("options are checked", () => {
    expect(toyStsb({ vocabulary, train: 0 }).problems).toHaveLength(1)
  })
})
