/** What control arms are for: claims that SimCSE does what its controls do not. */
import type { Claim } from "../../plugins/report/shared/claims/claim.ts"
import { fewerFailures } from "../../plugins/report/shared/claims/fewer-failures.ts"
import { higherMean } from "../../plugins/report/shared/claims/higher-mean.ts"
import { observed } from "../../plugins/report/shared/claims/observed.ts"
import { rankBefore } from "./quantities.ts"

interface Given {
  /** The names of the study's arms. */
  readonly arms: readonly string[]
  /** Its peak learning rates. */
  readonly lr: readonly number[]
}

const arm = "SimCSE(0.1)"
/** Each with what SimCSE is meant to differ in from it. */
const controls = [
  { than: "MLM", differs: ["further training"] },
  { than: "SimCSE(0)", differs: ["dropout of further training"] },
]
const freshPooler = " with a fresh pooler"

/**
 * Against each control that the study has, SimCSE(0.1) fails less, has the higher mean, and has the higher ranks before
 * fine-tuning; with a fresh pooler on both sides, it still does better than vanilla. If these do not hold, what SimCSE
 * shows may come of more training, or of its pooler.
 */
export const controlClaims = ({ arms, lr }: Given): readonly Claim[] => {
  const sides = [
    ...controls.map((control) => ({ arm, ...control })),
    { arm: `${arm}${freshPooler}`, than: `vanilla${freshPooler}`, differs: ["further training"] },
  ].filter((sides) => arms.includes(sides.arm) && arms.includes(sides.than))
  return sides.flatMap((sides) => [
    observed({
      ...sides,
      ...rankBefore,
      direction: "higher",
      family: "ranks before fine-tuning, against controls",
    }),
    ...lr.flatMap((lr) => [
      fewerFailures({ ...sides, lr, family: "failures, against controls" }),
      higherMean({ ...sides, lr, family: "means, against controls" }),
    ]),
  ])
}
