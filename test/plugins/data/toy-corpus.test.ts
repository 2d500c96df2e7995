import { describe, expect, test } from "bun:test"
import { countOf } from "../../../core/artifacts/sequences.ts"
import { toyCorpus } from "../../../plugins/data/toy-corpus.ts"
import { give, sentencesOf, unknowns, vocabulary, words } from "./toy-running.ts"

describe("corpus", () => {
  test("has every word and no unknown token; drawing more sentences does not change the first ones", async () => {
    const many = await give(toyCorpus({ vocabulary, sentences: 8000 }))
    expect(countOf(many.sequences)).toBe(8000)
    expect(unknowns(many.sequences)).toBe(0)
    const seen = new Set(many.sequences.ids)
    expect(words.tokens.filter((token, id) => !token.startsWith("[") && !seen.has(id))).toEqual([])
    const few = await give(toyCorpus({ vocabulary, sentences: 100 }))
    expect(sentencesOf(few.sequences)).toEqual(sentencesOf(many.sequences).slice(0, 100))
  })

  test("restated sentences have a second segment, others none; another seed gives other sentences", async () => {
    const plain = sentencesOf((await give(toyCorpus({ vocabulary, sentences: 50 }))).sequences)
    const restated = sentencesOf(
      (await give(toyCorpus({ vocabulary, sentences: 50, restated: true }))).sequences,
    )
    const other = sentencesOf((await give(toyCorpus({ vocabulary, sentences: 50, seed: 1 }))).sequences)
    for (const [first, second] of plain) expect([first !== "", second]).toEqual([true, ""])
    for (const pair of restated) expect(pair.every((text) => text !== "")).toBe(true)
    expect(other).not.toEqual(plain)
  })

  test("options are checked", () => {
    expect(toyCorpus({ vocabulary, seed: -1 }).problems[0]).toContain("seed")
  })
})
