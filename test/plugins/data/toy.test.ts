import { describe, expect, test } from "bun:test"
import type { Node } from "../../../core/api/plugin.ts"
import type { AnyArtifactKind } from "../../../core/artifacts/kind.ts"
import { countOf, type Sequences } from "../../../core/artifacts/sequences.ts"
import type { Clause } from "../../../plugins/data/shared/toy/meaning.ts"
import { toyCorpus } from "../../../plugins/data/toy-corpus.ts"
import { toyEntailment } from "../../../plugins/data/toy-entailment.ts"
import { likeness } from "../../../plugins/data/toy-similarity/likeness.ts"
import { toySimilarity } from "../../../plugins/data/toy-similarity.ts"
import { toyVocabulary } from "../../../plugins/data/toy-vocabulary.ts"
import { specialPieces } from "../../../plugins/model/vocabulary.ts"
import { run } from "./running.ts"

const vocabulary = toyVocabulary({})
const words = await run(vocabulary)
const give = <K extends AnyArtifactKind>(node: Node<K>) => run(node, words)

const sentencesOf = ({ ids, tokenTypeIds, offsets }: Sequences) =>
  Array.from({ length: offsets.length - 1 }, (_, i) => {
    const [start, end] = [offsets[i]!, offsets[i + 1]!]
    const text = (segment: number) =>
      [...ids.subarray(start, end)]
        .filter((_, at) => tokenTypeIds[start + at] === segment)
        .map((id) => words.tokens[id]!)
        .filter((token) => token !== "[CLS]" && token !== "[SEP]")
        .join(" ")
    return [text(0), text(1)] as const
  })

const unknowns = ({ ids }: Sequences) => ids.filter((id) => id === words.special.unknown).length

test("the vocabulary has 273 words, each once, and BERT's special tokens", () => {
  const ordinary = words.tokens.filter((token) => !token.startsWith("["))
  expect(new Set(words.tokens).size).toBe(words.tokens.length)
  expect(ordinary).toHaveLength(273)
  for (const word of ordinary) expect(word).toMatch(/^[a-z]+$/)
  const special = Object.fromEntries(
    Object.entries(words.special).map(([role, id]) => [role, words.tokens[id]]),
  )
  expect(special).toEqual(specialPieces)
})

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
})

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
})

describe("similarity", () => {
  const phrase = (head: string) => ({ head, adjective: null })
  const clause: Clause = {
    negative: false,
    every: false,
    subject: phrase("anna"),
    verb: "fed",
    object: phrase("robin"),
    place: null,
  }

  test("is 5 for equal meanings, and 5 times the Jaccard index otherwise", () => {
    expect(likeness([clause], [clause])).toBe(5)
    // In common: affirmed; anna, woman, adult, person; bird, animal; fed, helped, was. Not in common: robin, sparrow.
    expect(likeness([clause], [{ ...clause, object: phrase("sparrow") }])).toBeCloseTo((5 * 10) / 12, 12)
    expect(likeness([clause], [{ ...clause, negative: true }])).toBeCloseTo((5 * 10) / 12, 12)
  })

  test("gives one set of scored pairs, spread over 0 to 5", async () => {
    const { sets } = await give(toySimilarity({ vocabulary }))
    expect(sets.map(({ name, scores }) => [name, scores.length])).toEqual([["toy", 500]])
    const { scores } = sets[0]!
    for (const score of scores) expect(score >= 0 && score <= 5).toBe(true)
    expect(scores.filter((score) => score > 4).length).toBeGreaterThan(80)
    expect(scores.filter((score) => score < 1.5).length).toBeGreaterThan(80)
  })
})

test("options are checked", () => {
  expect(toyEntailment({ vocabulary, train: 0 }).problems).toHaveLength(1)
  expect(toyCorpus({ vocabulary, seed: -1 }).problems[0]).toContain("seed")
})
