import { rounded } from "../../shared/records.ts"
import { holm } from "../../shared/statistics/holm.ts"
import { left, right, type Table } from "../../shared/table.ts"
import { decimal, ends, interval, learningRate, pValue } from "../format.ts"
import { capitalised, wordsOf } from "../metric.ts"
import type { Comparison } from "../statistics/paired.ts"

/** Each arm against the first, seed by seed, at the same learning rate. */
export const comparisonTable = (comparisons: readonly Comparison[]): Table => {
  const adjusted = holmOf(comparisons)
  const baseline = comparisons[0]?.baseline
  const { name, unit } = wordsOf(comparisons[0]?.metric ?? "accuracy")
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
      right("95 % t"),
      right("signed-rank p"),
      right("p, Holm"),
    ],
    rows: comparisons.map((comparison, i) => [
      comparison.arm,
      learningRate(comparison.lr),
      String(comparison.differences.length),
      comparison.mean === null ? "no common seed" : signed(comparison.mean),
      interval(comparison.meanStudent, 1, "common seed"),
      comparison.signedRank === null ? untested(comparison) : pValue(comparison.signedRank.p),
      adjusted[i] === null ? untested(comparison) : pValue(adjusted[i]!),
    ]),
    notes:
      baseline === undefined
        ? ["No other arm has fine-tuning runs at a learning rate of the first arm."]
        : [
            `${capitalised(name)} minus that of ${baseline} at the same learning rate and seed; runs with the same seed share the random streams of head, order and dropout. Runs that diverged have no ${name} and are left out together with the runs they would be compared with.`,
            "p: exact two-sided Wilcoxon signed-rank test, zeros left out, ties at their mean rank; Holm: adjusted for the number of tests in this table.",
          ],
    data: {
      columns: [
        "arm",
        "baseline",
        "lr",
        "common_seeds",
        "mean_difference",
        "t_low",
        "t_high",
        "nonzero_differences",
        "signed_rank_p",
        "holm_p",
      ],
      rows: comparisons.map((comparison, i) => [
        comparison.arm,
        comparison.baseline,
        comparison.lr,
        comparison.differences.length,
        ...[comparison.mean, ...ends(comparison.meanStudent)].map(rounded),
        comparison.signedRank?.n ?? 0,
        rounded(comparison.signedRank?.p ?? null),
        rounded(adjusted[i] ?? null),
      ]),
    },
  }
}

/** Holm's p value of each comparison; null if there was nothing to test. */
const holmOf = (comparisons: readonly Comparison[]): readonly (number | null)[] => {
  const tested = comparisons.flatMap(({ signedRank }) => (signedRank === null ? [] : [signedRank.p]))
  const adjusted = holm(tested)
  let next = 0
  return comparisons.map(({ signedRank }) => (signedRank === null ? null : adjusted[next++]!))
}

const untested = ({ differences }: Comparison): string =>
  differences.length === 0 ? "no common seed" : "no difference"

const signed = (value: number): string => {
  const text = decimal(value, 1)
  return value > 0 && Number(text) !== 0 ? `+${text}` : text
}
