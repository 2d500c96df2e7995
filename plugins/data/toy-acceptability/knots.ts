/**
 * Acceptable and unacceptable sentences that are balanced by construction. They come in knots of four: two sentences
 * with a verb and its object, and the same two with their objects exchanged, which the verbs do not take:
 *
 * |            | object 1                            | object 2                           |
 * |------------|-------------------------------------|------------------------------------|
 * | sentence 1 | a girl hugged a beetle              | a girl hugged a ladder: not so     |
 * | sentence 2 | a nurse pushed a beetle: not so     | a nurse pushed a ladder            |
 *
 * so that every word has both labels as often, and none alone gives the label away.
 */
import type { Dice } from "../shared/toy/dice.ts"
import { sayMeaning } from "../shared/toy/grammar.ts"
import { type Clause, isSensible } from "../shared/toy/meaning.ts"
import { drawMeaning } from "../shared/toy/scenes.ts"

export interface Judgement {
  readonly sentence: string
  readonly acceptable: boolean
}

const drawTransitive = (dice: Dice): Clause => {
  for (;;) {
    const [clause, ...others] = drawMeaning(dice)
    if (clause !== undefined && clause.object !== null && others.length === 0) return clause
  }
}

/** Four balanced sentences. */
export const drawKnot = (dice: Dice): readonly Judgement[] => {
  for (;;) {
    const [one, two] = [drawTransitive(dice), drawTransitive(dice)]
    const crossed = [
      { ...one, object: two.object },
      { ...two, object: one.object },
    ]
    if (crossed.some((clause) => isSensible([clause]))) continue
    const [first, second, ...exchanged] = [one, two, ...crossed].map((clause) => sayMeaning([clause], dice))
    return [
      { sentence: first!, acceptable: true },
      { sentence: exchanged[0]!, acceptable: false },
      { sentence: second!, acceptable: true },
      { sentence: exchanged[1]!, acceptable: false },
    ]
  }
}
