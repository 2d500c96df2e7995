/**
 * bun test/simulation/coverage.ts [REPLICATES]
 *
 * How often the reports' intervals of S cover it, and how often their tests reject what is true, for accuracies of which
 * some fail: 70 ± 2, or between 50 and 52.7 with the given probability. Prints tables; takes a few minutes.
 */
import { normal, type Stream, stream, uniform } from "../../core/tensor/stream.ts"
import { permutationP, ranks } from "../../plugins/report/shared/statistics/association.ts"
import { bcaInterval } from "../../plugins/report/shared/statistics/bootstrap.ts"
import { crossedDifference, crossedP } from "../../plugins/report/shared/statistics/crossed.ts"
import { mean, standardDeviation } from "../../plugins/report/shared/statistics/moments.ts"
import { mcNemar } from "../../plugins/report/shared/statistics/proportion.ts"
import { signFlip } from "../../plugins/report/shared/statistics/sign-flip.ts"
import { signedRank } from "../../plugins/report/shared/statistics/signed-rank.ts"
import {
  fromMedian,
  pairedBootstrap,
  ratioInterval,
  spreadInterval,
} from "../../plugins/report/shared/statistics/spread.ts"

export const failureRates = [0, 0.03, 0.1, 0.25, 0.5, 0.83] as const
export const seedCounts = [5, 10, 30] as const
const baseline = 52.7
const others = { mean: 70, deviation: 2 }
const failed = { low: 50, high: baseline }

/** Accuracies of n runs, each of which fails with probability `rate`. */
const sample = (source: Stream, iteration: number, site: number, n: number, rate: number, shift = 0) => {
  const noise = normal({ stream: source, site: 2 * site, iteration }, n)
  const chance = uniform({ stream: source, site: 2 * site + 1, iteration }, 2 * n)
  return Array.from({ length: n }, (_, i) =>
    chance[i]! < rate
      ? failed.low + (failed.high - failed.low) * chance[n + i]!
      : Math.max(baseline + 0.1, others.mean + others.deviation * noise[i]!) + shift,
  )
}

/** S of such runs, ddof 0. */
const trueSpread = (rate: number): number => {
  const width = failed.high - failed.low
  const gap = others.mean - (failed.low + failed.high) / 2
  return Math.sqrt(
    (rate * width ** 2) / 12 + (1 - rate) * others.deviation ** 2 + rate * (1 - rate) * gap ** 2,
  )
}

const elsewhere = { failed: baseline, others }
const split = (values: readonly number[]) => ({
  failed: values.filter((value) => value <= baseline),
  others: values.filter((value) => value > baseline),
})
const spread = (values: ArrayLike<number>) => standardDeviation(values, 0)

const shareOf = (replicates: number, holds: (iteration: number) => boolean): number => {
  let count = 0
  for (let i = 0; i < replicates; i++) if (holds(i)) count++
  return count / replicates
}

/** How often a 95 % interval of S covers it. A sample that gives no interval does not cover. */
export const coverageOfSpread = (
  method: "mixture" | "BCa",
  rate: number,
  n: number,
  replicates: number,
): number => {
  const source = stream(1, "coverage")
  const truth = trueSpread(rate)
  return shareOf(replicates, (i) => {
    const values = sample(source, i, 0, n, rate)
    if (method === "mixture") {
      const ends = spreadInterval(split(values), elsewhere, 0.95)
      return ends !== null && ends.low <= truth && truth <= ends.high
    }
    const ends = bcaInterval(values, spread)
    return ends.kind === "interval" && ends.low <= truth && truth <= ends.high
  })
}

/** How often the 95 % interval of the ratio of two sides' S, one failing at `rate` and one at `than`, covers it. */
export const coverageOfRatio = (rate: number, than: number, n: number, replicates: number): number => {
  const source = stream(2, "coverage")
  const truth = trueSpread(rate) / trueSpread(than)
  return shareOf(replicates, (i) => {
    const [first, second] = [rate, than].map((each, side) => {
      const values = sample(source, i, side, n, each)
      return { value: spread(values), ...spreadInterval(split(values), elsewhere, 0.95)! }
    }) as [Parameters<typeof ratioInterval>[0], Parameters<typeof ratioInterval>[1]]
    const ends = ratioInterval(first, second)
    return ends.low <= truth && truth <= ends.high
  })
}

const column = (values: readonly number[]) => values.map((value) => [value])
const failures = (values: readonly number[]): readonly number[] =>
  values.map((value) => (value <= baseline ? 1 : 0))
const minus = (first: readonly number[], second: readonly number[]) =>
  first.map((value, i) => value - second[i]!)
const pOfCrossed = (first: readonly (readonly number[])[], second: readonly (readonly number[])[]) =>
  crossedP(crossedDifference(first, second)!)

/** Tests of two sides with one checkpoint each, from their accuracies, seed by seed. */
export const pairedTests: Readonly<
  Record<string, (first: readonly number[], second: readonly number[]) => number>
> = {
  "failures: McNemar": (first, second) => {
    const differences = minus(failures(first), failures(second))
    return mcNemar(differences.filter((d) => d > 0).length, differences.filter((d) => d < 0).length)
  },
  "means: paired t": (first, second) => pOfCrossed(column(first), column(second)),
  "means: signed rank": (first, second) => signedRank(minus(first, second))?.p ?? 1,
  "S: Brown–Forsythe, pairs": (first, second) =>
    pOfCrossed(column(fromMedian(first)), column(fromMedian(second))),
  "S: sign flip": (first, second) => signFlip(minus(fromMedian(first), fromMedian(second))),
  "S: paired bootstrap": pairedBootstrap,
  "rank in failed runs": (first, second) => {
    const x = failures(first)
    return new Set(x).size < 2 ? 1 : permutationP([{ x, y: ranks(second) }])
  },
}

/** How often a test rejects at .05 two sides that are alike. */
export const sizeOfPaired = (
  test: keyof typeof pairedTests,
  rate: number,
  n: number,
  replicates: number,
): number => {
  const source = stream(3, "size")
  return shareOf(
    replicates,
    (i) => pairedTests[test]!(sample(source, i, 0, n, rate), sample(source, i, 1, n, rate)) <= 0.05,
  )
}

/** Tests of a side with several checkpoints, [seeds][checkpoints], against one with a single checkpoint. */
export const crossedTests: Readonly<
  Record<string, (first: readonly (readonly number[])[], second: readonly number[]) => number>
> = {
  "failures: larger p of crossed and sign flip": (first, second) => {
    const ones = first.map(failures)
    const count = first[0]!.length
    const sums = ones.map(
      (row, s) => row.reduce((sum, one) => sum + one, 0) - count * failures([second[s]!])[0]!,
    )
    const exact = signFlip(sums)
    return count === 1 ? exact : Math.max(exact, pOfCrossed(ones, column(failures(second))))
  },
  "means: crossed t": (first, second) => pOfCrossed(first, column(second)),
  "means: paired t, one mean a seed": (first, second) =>
    pOfCrossed(column(first.map((row) => mean(row))), column(second)),
  "S: larger p of crossed and sign flip": (first, second) => {
    const distances = first[0]!.map((_, c) => fromMedian(first.map((row) => row[c]!)))
    const rows = first.map((_, s) => distances.map((of) => of[s]!))
    const others = fromMedian(second)
    const crossed = pOfCrossed(rows, column(others))
    return first[0]!.length === 1
      ? crossed
      : Math.max(
          crossed,
          signFlip(
            minus(
              rows.map((row) => mean(row)),
              others,
            ),
          ),
        )
  },
}

/**
 * How often a test rejects at .05 a method that changes nothing on average, but whose checkpoints differ: in the mean of
 * runs that do not fail by N(0, deviation²), in their failure rate by up to ±rateGap.
 */
export const sizeOfCrossed = (
  test: keyof typeof crossedTests,
  at: {
    readonly checkpoints: number
    readonly seeds: number
    readonly rate: number
    readonly deviation: number
    readonly rateGap: number
  },
  replicates: number,
): number => {
  const source = stream(4, "size")
  const ofCheckpoints = stream(5, "size")
  return shareOf(replicates, (i) => {
    const shifts = normal({ stream: ofCheckpoints, site: 0, iteration: i }, at.checkpoints, at.deviation)
    const gaps = uniform({ stream: ofCheckpoints, site: 1, iteration: i }, at.checkpoints)
    // A single checkpoint is compared as itself: it must not differ.
    const differ = at.checkpoints > 1
    const columns = Array.from({ length: at.checkpoints }, (_, c) =>
      sample(
        source,
        i,
        c + 1,
        at.seeds,
        at.rate + (differ ? (2 * gaps[c]! - 1) * at.rateGap : 0),
        differ ? shifts[c]! : 0,
      ),
    )
    const rows = columns[0]!.map((_, s) => columns.map((of) => of[s]!))
    return crossedTests[test]!(rows, sample(source, i, 0, at.seeds, at.rate)) <= 0.05
  })
}

// --- tables ------------------------------------------------------------------------------------------------

const table = (
  title: string,
  columns: readonly string[],
  lines: readonly (readonly (string | number)[])[],
) => {
  console.log(`\n${title}\n${columns.join(" | ")}`)
  for (const line of lines) {
    console.log(line.map((cell) => (typeof cell === "number" ? cell.toFixed(3) : cell)).join(" | "))
  }
}

if (import.meta.main) {
  const replicates = Number(process.argv[2] ?? 2000)
  const rates = failureRates.map((rate) => `${100 * rate} %`)
  const overRates = (of: (rate: number) => number) => failureRates.map(of)
  for (const [method, count] of [
    ["mixture", replicates],
    ["BCa", Math.ceil(replicates / 10)],
  ] as const) {
    table(
      `Coverage of S by the 95 % interval: ${method}, ${count} replicates`,
      ["seeds", ...rates],
      seedCounts.map((n) => [`${n}`, ...overRates((rate) => coverageOfSpread(method, rate, n, count))]),
    )
  }
  table(
    "Coverage of the ratio of S to that of a side of which 25 % fail",
    ["seeds", ...rates],
    seedCounts.map((n) => [`${n}`, ...overRates((rate) => coverageOfRatio(rate, 0.25, n, replicates))]),
  )
  for (const test of Object.keys(pairedTests)) {
    const count =
      test.includes("bootstrap") || test.includes("failed runs") ? Math.ceil(replicates / 10) : replicates
    table(
      `Size at .05: ${test}, ${count} replicates`,
      ["seeds", ...rates],
      seedCounts.map((n) => [`${n}`, ...overRates((rate) => sizeOfPaired(test, rate, n, count))]),
    )
  }
  for (const test of Object.keys(crossedTests)) {
    const settings = [
      { rate: 0.25, deviation: 0, rateGap: 0 },
      { rate: 0.25, deviation: 2, rateGap: 0.1 },
      { rate: 0.25, deviation: 6, rateGap: 0.2 },
    ]
    table(
      `Size at .05 with random checkpoints: ${test}`,
      [
        "checkpoints × seeds",
        ...settings.map(({ deviation, rateGap }) => `checkpoints ±${deviation}, rate ±${rateGap}`),
      ],
      [1, 2, 3, 5].flatMap((checkpoints) =>
        seedCounts.map((seeds) => [
          `${checkpoints} × ${seeds}`,
          ...settings.map((setting) => sizeOfCrossed(test, { checkpoints, seeds, ...setting }, replicates)),
        ]),
      ),
    )
  }
}
