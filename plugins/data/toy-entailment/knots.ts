/**
 * Premises and hypotheses that are balanced by construction. Pairs come in knots of four: two premises and two
 * hypotheses, each of which follows from one of the premises only,
 *
 * |             | hypothesis 1 | hypothesis 2 |
 * |-------------|--------------|--------------|
 * | premise 1   | follows      | does not     |
 * | premise 2   | does not     | follows      |
 *
 * so that every sentence has both labels, once each, and no sentence alone gives the label away. In half of the knots
 * the premises have something in common, so that word overlap does not give it away either.
 */
import { drawConsequence } from "../shared/toy/consequences.ts"
import type { Dice } from "../shared/toy/dice.ts"
import { sayMeaning } from "../shared/toy/grammar.ts"
import { follows } from "../shared/toy/meaning.ts"
import { drawMeaning, drawRival } from "../shared/toy/scenes.ts"

export interface Pair {
  readonly premise: string
  readonly hypothesis: string
  readonly entailed: boolean
}

/** Four balanced pairs. */
export const drawKnot = (dice: Dice): readonly Pair[] => {
  for (;;) {
    const premise1 = drawMeaning(dice)
    const premise2 = dice.chance(50) ? drawRival(premise1, dice) : drawMeaning(dice)
    const hypothesis1 = drawConsequence(premise1, dice)
    const hypothesis2 = drawConsequence(premise2, dice)
    if (follows(premise1, hypothesis2) || follows(premise2, hypothesis1)) continue
    const [p1, p2, h1, h2] = [
      sayMeaning(premise1, dice),
      sayMeaning(premise2, dice),
      sayMeaning(hypothesis1, dice),
      sayMeaning(hypothesis2, dice),
    ]
    return [
      { premise: p1, hypothesis: h1, entailed: true },
      { premise: p1, hypothesis: h2, entailed: false },
      { premise: p2, hypothesis: h2, entailed: true },
      { premise: p2, hypothesis: h1, entailed: false },
    ]
  }
}
