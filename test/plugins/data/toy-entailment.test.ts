import { describe, expect, test } from "bun:test"
import { toyEntailment } from "../../../plugins/data/toy-entailment.ts"
import { give, sentencesOf, unknowns, vocabulary } from "./toy-running.ts"

describe("entailment", () => {
  test("by default it has RTE's sizes and balance of labels", async () => {
    const { train, dev, labelNames } = await give(toyEntailment({ vocabulary }))
    expect(labelNames).toEqual(["entailment", "not_entailment"])
    const entailed = [train, dev].map(({ labels }) => labels.filter((label) => label === 0).length)
    expect([train.labels.length, dev.labels.length, ...entailed]).toEqual([2490, 277, 1249, 146])
    expect(unknowns(train.sequences) + unknowns(dev.sequences)).toBe(0)
  })

  test("neither sentence alone gives the label away: each occurs with both labels", async () => {
    const { train } = await give(toyEntailment({ vocabulary, train: 4000 }))
    const labels = new Map<string, Set<number>>()
    sentencesOf(train.sequences).forEach(([premise, hypothesis], i) => {
      for (const text of [`premise ${premise}`, `hypothesis ${hypothesis}`]) {
        labels.set(text, (labels.get(text) ?? new Set()).add(train.labels[i]!))
      }
    })
    const oneSided = [...labels.values()].filter((seen) => seen.size === 1)
    // Those from the last knots, when one of the labels had no room left.
    expect(oneSided.length).toBeLessThan(60)
  })

  test("counting shared words misclassifies more than a sixth", async () => {
    const { train } = await give(toyEntailment({ vocabulary, train: 4000 }))
    const shared = sentencesOf(train.sequences).map(([premise, hypothesis]) => {
      const known = new Set(premise.split(" "))
      const said = hypothesis.split(" ")
      return said.filter((word) => known.has(word)).length / said.length
    })
    const best = Math.max(
      ...Array.from({ length: 21 }, (_, i) => i / 20).map(
        (bound) => shared.filter((part, i) => part >= bound === (train.labels[i] === 0)).length,
      ),
    )
    expect(best / shared.length).toBeLessThan(5 / 6)
  })

  test("options are checked", () => {
    expect(toyEntailment({ vocabulary, train: 0 }).problems).toHaveLength(1)
  })
})
