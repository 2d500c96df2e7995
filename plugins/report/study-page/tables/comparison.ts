import { capitalised } from "../../shared/claims/words.ts"
import { rounded } from "../../shared/records.ts"
import { holm } from "../../shared/statistics/holm.ts"
import { left, right, type Table } from "../../shared/table.ts"
import { decimal, ends, interval, learningRate, pValue } from "../format.ts"
import { wordsOf } from "../metric.ts"
import type { Comparison } from "../statistics/paired.ts"

/** Each arm against the first, seed by seed, at the same learning rate. */
export const comparisonTable = (comparisons: readonly Comparison[]): Table => {
  const student = holmOf(comparisons.map(({ studentP }) => studentP))
  const signedRanks = holmOf(comparisons.map(({ signedRank }) => signedRank?.p ?? null))
  const baseline = comparisons[0]?.baseline
  const { unit } = wordsOf(comparisons[0]?.metric ?? "accuracy")
  return {
    name: "comparisons",
    title:
      baseline === undefined
        ? "Same-seed comparison"
        : `Same-seed comparison with ${baseline} (${unit === "%" ? "percentage points" : unit})`,
    columns: [
      left("arm"),
      right("peak lr"),
      right("common seeds"),
      right("mean difference"),
      right("95 %"),
      right("t, p"),
      right("Holm"),
      right("signed rank, p"),
      right("Holm"),
      right("least p"),
    ],
    rows: comparisons.map((comparison, i) => {
      const { difference, studentP, signedRank, leastP } = comparison
      const test = (p: number | null | undefined) => (p == null ? untested(comparison) : pValue(p))
      return [
        comparison.arm,
        learningRate(comparison.lr),
        String(difference.seeds),
        difference.mean === null ? "no common seed" : signed(difference.mean),
        interval(difference.interval, 1, "common seed"),
        test(studentP),
        test(student[i]),
        test(signedRank?.p),
        test(signedRanks[i]),
        leastP === null ? "no common seed" : pValue(leastP),
      ]
    }),
    notes:
      baseline === undefined
        ? ["No other arm has fine-tuning runs at a learning rate of the first arm."]
        : notes(comparisons, baseline),
    data: {
      columns: [
        ...["arm", "baseline", "lr", "checkpoints", "common_seeds", "mean_difference", "low", "high"],
        ...["t_p", "t_holm_p", "nonzero_differences", "signed_rank_p", "signed_rank_holm_p", "least_p"],
      ],
      rows: comparisons.map(({ arm, lr, difference, studentP, signedRank, leastP, ...of }, i) => [
        ...[arm, of.baseline, lr, difference.checkpoints, difference.seeds],
        ...[difference.mean, ...ends(difference.interval), studentP, student[i] ?? null].map(rounded),
        signedRank?.n ?? 0,
        ...[signedRank?.p ?? null, signedRanks[i] ?? null, leastP].map(rounded),
      ]),
    },
  }
}

const notes = (comparisons: readonly Comparison[], baseline: string): readonly string[] => {
  const { name } = wordsOf(comparisons[0]!.metric)
  const several = comparisons.some(({ difference }) => difference.checkpoints > 1)
  const single = comparisons.length === 1
  const weak = comparisons.filter(({ leastP }) => leastP !== null && leastP * comparisons.length > 0.05)
  return [
    `${capitalised(name)} minus that of ${baseline} at the same learning rate and seed; runs with the same seed share the random streams of head, order and dropout. A seed of which a run diverged is left out, since that run has no ${name}.`,
    `t: two-sided paired t test${several ? " with checkpoints as a random effect" : ""}; signed rank: exact two-sided Wilcoxon test, zeros left out, ties at their mean rank${several ? ", of the means over checkpoints as they are" : ""}. Holm: adjusted for the number of tests in the column. Least p: what the signed-rank test gives if all seeds differ in the same direction.`,
    ...(weak.length === 0
      ? []
      : [
          `${single ? "The signed-rank test" : `After Holm's adjustment for ${comparisons.length} tests, the signed-rank test`} cannot reach .05 ${weak.length === comparisons.length ? "in any row" : `in ${weak.length} of ${comparisons.length} rows`}: there are too few common seeds.`,
        ]),
  ]
}

/** Holm's p value of each comparison; null if there was nothing to test. */
const holmOf = (pValues: readonly (number | null)[]): readonly (number | null)[] => {
  const adjusted = holm(pValues.filter((p) => p !== null))
  let next = 0
  return pValues.map((p) => (p === null ? null : adjusted[next++]!))
}

const untested = ({ difference: { differences, seeds } }: Comparison): string => {
  if (seeds === 0) return "no common seed"
  return differences.every((each) => each === 0)
    ? "no difference"
    : seeds === 1
      ? "one common seed"
      : "all equal"
}

const signed = (value: number): string => {
  const text = decimal(value, 1)
  return value > 0 && Number(text) !== 0 ? `+${text}` : text
}
