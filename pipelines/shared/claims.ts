/** What the paper claims, as claims that a study of any size can be judged by. */
import type { Claim } from "../../plugins/report/shared/claims/claim.ts"
import { fewerFailures } from "../../plugins/report/shared/claims/fewer-failures.ts"
import { higherMean } from "../../plugins/report/shared/claims/higher-mean.ts"
import { inFailedRuns } from "../../plugins/report/shared/claims/in-failed-runs.ts"
import { observed } from "../../plugins/report/shared/claims/observed.ts"
import { smallerSpread } from "../../plugins/report/shared/claims/smaller-spread.ts"
import { paperFigures } from "./paper-figures.ts"
import { rankAfter, rankBefore } from "./quantities.ts"

interface Given {
  /** The names of the study's arms. */
  readonly arms: readonly string[]
  /** Its peak learning rates. */
  readonly lr: readonly number[]
}

/**
 * The paper's claims about the arms and learning rates that a study has:
 *
 * - Table 1, at 1e-5 and 2e-5: SimCSE(0.1) fails less and has the higher mean; its S is smaller at 1e-5, and larger at
 *   2e-5, where nearly all of vanilla's runs fail alike;
 * - Table 2: the layers' normalised effective rank before fine-tuning is higher after SimCSE with dropout up to 0.4, and
 *   lower with 0.5;
 * - Figure 4: at the end, the ranks of runs that failed have collapsed;
 * - Figure 2: at the end of warm-up, runs that fail are further round, and further out, than the others.
 *
 * The last two are drawn in the paper without a number; what is tested here is one reading of the figures. At other
 * learning rates than the paper's, the claims of Table 1 about failures and means are made without its numbers.
 */
export const paperClaims = ({ arms, lr }: Given): readonly Claim[] => [
  ...(arms.includes("vanilla") && arms.includes("SimCSE(0.1)") ? lr.flatMap(stabilityClaims) : []),
  ...(arms.includes("vanilla") ? rankClaims(arms) : []),
  inFailedRuns({
    ...rankAfter,
    called: `the ${rankAfter.called}`,
    direction: "lower",
    family: "failed runs",
  }),
  ...(["phi", "r"] as const).map((column) =>
    inFailedRuns({
      column,
      where: { scope: "all", step: "warmup" },
      called: `the trajectory's ${{ phi: "angle φ", r: "radius r" }[column]} at the end of warm-up`,
      direction: "higher",
      family: "failed runs",
    }),
  ),
]

/** What the paper's arms are meant to differ in. */
const differs = ["further training"]

const stabilityClaims = (lr: number): readonly Claim[] => {
  const sides = { arm: "SimCSE(0.1)", than: "vanilla", lr, differs }
  const [arm, than] = [sides.arm, sides.than].map((name) =>
    paperFigures.stability.find((cell) => cell.arm === name && cell.lr === lr),
  )
  if (arm === undefined || than === undefined) return [fewerFailures(sides), higherMean(sides)]
  const count = ({ failures, runs }: typeof arm) => ({ count: failures, of: runs })
  const summary = ({ mean, deviation, runs }: typeof arm) => ({ mean, deviation, of: runs })
  const cell = (of: typeof arm) => ({ ...summary(of), failures: of.failures })
  const [smaller, larger] = arm.deviation < than.deviation ? [arm, than] : [than, arm]
  return [
    fewerFailures({ ...sides, paper: { arm: count(arm), than: count(than) } }),
    higherMean({ ...sides, paper: { arm: summary(arm), than: summary(than) } }),
    smallerSpread({
      ...{ arm: smaller.arm, than: larger.arm, lr, differs },
      paper: { baseline: paperFigures.baseline, arm: cell(smaller), than: cell(larger) },
    }),
  ]
}

const rankClaims = (arms: readonly string[]): readonly Claim[] => {
  const [vanilla, ...others] = paperFigures.ranks
  const mean = ({ sum, layers }: (typeof paperFigures.ranks)[number]) => sum / layers
  return others
    .filter(({ arm }) => arms.includes(arm))
    .map((of) =>
      observed({
        arm: of.arm,
        than: vanilla.arm,
        differs,
        ...rankBefore,
        direction: mean(of) > mean(vanilla) ? "higher" : "lower",
        family: "ranks before fine-tuning",
        paper: { arm: mean(of), than: mean(vanilla) },
      }),
    )
}
