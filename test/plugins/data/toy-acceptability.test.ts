import { describe, expect, test } from "bun:test"
import { toyAcceptability } from "../../../plugins/data/toy-acceptability.ts"
import { give, sentencesOf, unknowns, vocabulary } from "./toy-running.ts"

describe("acceptability", () => {
  test("by default it has RTE's sizes, single sentences, and as many of both labels", async () => {
    const { train, dev, labelNames, metrics } = await give(toyAcceptability({ vocabulary }))
    expect([labelNames, metrics]).toEqual([
      ["unacceptable", "acceptable"],
      ["accuracy", "matthews"],
    ])
    const acceptable = [train, dev].map(({ labels }) => labels.filter((label) => label === 1).length)
    expect([train.labels.length, dev.labels.length, ...acceptable]).toEqual([2490, 277, 1245, 139])
    expect(unknowns(train.sequences) + unknowns(dev.sequences)).toBe(0)
    for (const [, second] of sentencesOf(train.sequences)) expect(second).toBe("")
  })

  test("no word gives the label away: in whole knots, each occurs as often with both", async () => {
    const { train } = await give(toyAcceptability({ vocabulary, train: 4000 }))
    const balance = new Map<string, number>()
    const functionWords = new Set("a an the no every never was by in".split(" "))
    sentencesOf(train.sequences).forEach(([sentence], i) => {
      for (const word of sentence.split(" ")) {
        if (functionWords.has(word)) continue
        balance.set(word, (balance.get(word) ?? 0) + (train.labels[i] === 1 ? 1 : -1))
      }
    })
    expect(balance.size).toBeGreaterThan(150)
    expect([...balance].filter(([, excess]) => excess !== 0)).toEqual([])
  })

  test("options are checked", () => {
    expect(toyAcceptability({ vocabulary, dev: 0 }).problems).toHaveLength(1)
  })
})
