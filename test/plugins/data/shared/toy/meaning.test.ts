import { expect, test } from "bun:test"
import { stream } from "../../../../../core/tensor/stream.ts"
import { drawConsequence } from "../../../../../plugins/data/shared/toy/consequences.ts"
import { type Dice, dice } from "../../../../../plugins/data/shared/toy/dice.ts"
import { sayMeaning } from "../../../../../plugins/data/shared/toy/grammar.ts"
import { follows, isSensible, type Meaning } from "../../../../../plugins/data/shared/toy/meaning.ts"
import { drawMeaning, drawRival } from "../../../../../plugins/data/shared/toy/scenes.ts"
import { drawWorld, isTrue } from "./worlds.ts"

const tries = 60

/** The events that the hypothesis is about, affirmed and without "every": what a premise might leave unspecified. */
const spokenOf = (meaning: Meaning): Meaning =>
  meaning.map((clause) => ({ ...clause, negative: false, every: false }))

/** Among sampled worlds in which the premise is true: in how many the hypothesis is true, and in how many false. */
const count = (premise: Meaning, hypothesis: Meaning, dice: Dice) => {
  const counted = { true: 0, false: 0 }
  for (let i = 0; i < tries; i++) {
    const more = dice.chance(50) ? drawWorld(spokenOf(hypothesis), dice) : []
    const world = [...drawWorld(premise, dice), ...more]
    if (isTrue(world, premise)) counted[`${isTrue(world, hypothesis)}`] += 1
  }
  return counted
}

const pairText = (premise: Meaning, hypothesis: Meaning, dice: Dice) =>
  `${sayMeaning(premise, dice)} | ${sayMeaning(hypothesis, dice)}`

test("a hypothesis follows if and only if it is true in all sampled worlds where the premise is", () => {
  let yes = 0
  const wrong: string[] = []
  for (let i = 0; i < 1500; i++) {
    const d = dice(stream(1, "meanings"), i)
    const premise = drawMeaning(d)
    const hypothesis = drawConsequence(d.chance(50) ? premise : drawRival(premise, d), d)
    expect(isSensible(premise) && isSensible(hypothesis)).toBe(true)
    const counted = count(premise, hypothesis, d)
    const entailed = follows(premise, hypothesis)
    if (entailed) yes += 1
    if (counted.true + counted.false === 0 || entailed !== (counted.false === 0)) {
      wrong.push(`${entailed} ${JSON.stringify(counted)} ${pairText(premise, hypothesis, d)}`)
    }
  }
  expect(wrong).toEqual([])
  expect(yes).toBeGreaterThan(600)
  expect(yes).toBeLessThan(1100)
})

test("a drawn consequence follows from its premise", () => {
  for (let i = 0; i < 2000; i++) {
    const d = dice(stream(2, "meanings"), i)
    const meaning = drawMeaning(d)
    expect(follows(meaning, drawConsequence(meaning, d))).toBe(true)
  }
})
