import { describe, expect, test } from "bun:test"
import { paperClaims } from "../../../pipelines/shared/claims.ts"
import { paperFigures } from "../../../pipelines/shared/paper-figures.ts"
import { claimProblems, planAll } from "../../../plugins/report/shared/claims/plan.ts"
import { judgeAll } from "../../../plugins/report/shared/claims/verdict.ts"

const arms = paperFigures.ranks.map(({ arm }) => arm)
const claims = paperClaims({ arms, lr: [1e-5, 2e-5] })
const nothing = { runs: [], observations: [] }

/** What the paper's numbers alone say, by the statement. */
const verdicts = () =>
  Object.fromEntries(judgeAll(claims, nothing).map(({ statement, paper }) => [statement, paper]))

describe("the paper's claims, judged on its own Tables 1 and 2", () => {
  test("counts of failures: Fisher's exact test, adjusted for the two of them", () => {
    const found = verdicts()
    // scipy.stats.fisher_exact: 0.01054 and 0.00611, the lesser doubled by Holm
    const at1 = found["SimCSE(0.1) fails in fewer runs than vanilla at lr=1e-5."]!
    const at2 = found["SimCSE(0.1) fails in fewer runs than vanilla at lr=2e-5."]!
    expect(at1).toMatchObject({ verdict: "holds", test: { name: "Fisher's exact test" } })
    expect(at1.test!.p).toBeCloseTo(0.010542535074203226, 12)
    expect(at1.adjusted).toMatchObject({ of: 2, level: 0.95 })
    expect(at1.adjusted.p).toBeCloseTo(0.012214449546453614, 12)
    expect(at2.verdict).toBe("holds")
    expect(at2.adjusted.p).toBeCloseTo(0.012214449546453614, 12)
    expect(at2.adjusted.level).toBe(0.975)
  })

  test("means: Welch's t test", () => {
    const found = verdicts()
    // scipy.stats.ttest_ind_from_stats(…, equal_var=False), with ddof 1
    for (const [lr, p, difference] of [
      ["1e-5", 0.0018703201661006306, 6.2],
      ["2e-5", 0.00017589646176315968, 7.8],
    ] as const) {
      const mean = found[`SimCSE(0.1) has a higher mean than vanilla at lr=${lr}.`]!
      expect(mean.verdict).toBe("holds")
      expect(mean.test!.p).toBeCloseTo(p, 12)
      expect(mean.effect!.value).toBeCloseTo(difference, 10)
    }
  })

  test("S and ranks are printed without what a test needs, and that is said", () => {
    const found = verdicts()
    const spread = found["S is smaller for SimCSE(0.1) than for vanilla at lr=1e-5."]!
    expect(spread).toMatchObject({ verdict: "cannot be told", test: null })
    expect(spread.effect!.value).toBeCloseTo(2.2 / 9.6, 12)
    expect(found["S is smaller for vanilla than for SimCSE(0.1) at lr=2e-5."]!.effect!.value).toBeCloseTo(
      3.2 / 9.5,
      12,
    )
    const rank = found["SimCSE(0.5) has a lower normalised effective rank before fine-tuning than vanilla."]!
    expect(rank.reason).toBe("The paper prints no spread for this, so its difference cannot be tested.")
    expect(rank.effect!.value).toBeCloseTo((8.17 - 20.06) / 24, 12)
  })

  test("what is only drawn is not judged on the paper's numbers", () => {
    expect(
      judgeAll(claims, nothing)
        .filter(({ paper }) => paper === null)
        .map(({ family }) => family),
    ).toEqual(["failed runs", "failed runs", "failed runs"])
  })
})

describe("the plan of the paper's study", () => {
  const design = (seeds: number) => {
    const each = Array.from({ length: seeds }, (_, i) => i + 1)
    return {
      runs: arms.flatMap((arm) => [1e-5, 2e-5].map((lr) => ({ labels: { arm, lr }, seeds: each }))),
      observations: arms.flatMap((arm) => [
        { labels: { arm, lr: 1e-5 }, seeds: each, columns: ["step", "block", "layer", "normalised"] },
        { labels: { arm, lr: 1e-5 }, seeds: each, columns: ["step", "scope", "r", "phi"] },
      ]),
    }
  }

  test("says with what probability 30 seeds find the paper's effects", () => {
    expect(claimProblems(claims, design(30))).toEqual([])
    const plan = planAll(claims, design(30)).filter((line) => line.includes("this is found with probability"))
    expect(
      plan.map((line) => /probability ([\d.]+), or ([\d.]+) at/.exec(line)!.slice(1, 3).join(" ")),
    ).toEqual([
      // McNemar's: P(Bin(30, 7/30) ≥ 6) and, at .025, ≥ 7
      "0.733 0.57",
      "0.906 0.841",
      "1 1",
      "0.79 0.697",
      "0.982 0.961",
      "0.998 0.998",
    ])
  })

  test("says what difference of ranks 30 seeds find, since the paper prints no spread", () => {
    const plan = planAll(claims, design(30)).filter((line) => line.includes("The paper prints no spread"))
    expect(plan).toHaveLength(claims.filter(({ name }) => name === "observed").length)
    // scipy.stats.nct: 0.5292
    for (const line of plan) expect(line).toContain("a difference of 0.529 standard deviations")
  })

  test("says what five seeds cannot show", () => {
    const plan = planAll(claims, design(5))
    expect(plan[0]).toContain("The least p that this design can give is 0.0625, so it cannot be told.")
    expect(plan[1]).toContain("With 5 seeds the signed-rank test cannot give less than p = 0.0625")
  })

  test("at another learning rate, or without an arm, there are fewer claims", () => {
    const kinds = (given: Parameters<typeof paperClaims>[0]) => paperClaims(given).map(({ name }) => name)
    expect(kinds({ arms: ["vanilla", "SimCSE(0.1)"], lr: [3e-5] })).toEqual([
      "fewer-failures",
      "higher-mean",
      "observed",
      "in-failed-runs",
      "in-failed-runs",
      "in-failed-runs",
    ])
    expect(kinds({ arms: ["vanilla"], lr: [1e-5] })).toEqual([
      "in-failed-runs",
      "in-failed-runs",
      "in-failed-runs",
    ])
  })
})
