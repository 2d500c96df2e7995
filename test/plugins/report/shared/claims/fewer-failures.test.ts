import { describe, expect, test } from "bun:test"
import type { Evidence, RunEvidence } from "../../../../../plugins/report/shared/claims/claim.ts"
import { fewerFailures } from "../../../../../plugins/report/shared/claims/fewer-failures.ts"
import { claimProblems, planAll } from "../../../../../plugins/report/shared/claims/plan.ts"
import { judgeAll } from "../../../../../plugins/report/shared/claims/verdict.ts"

const paper = { arm: { count: 0, of: 30 }, than: { count: 7, of: 30 } }
const claim = fewerFailures({ arm: "SimCSE(0.1)", than: "vanilla", lr: 1e-5, paper })

/** Runs at 1e-5, of which those of the given seeds failed. */
const runs = (
  arm: string,
  seeds: number,
  failed: readonly number[],
  checkpoint?: number,
): readonly RunEvidence[] =>
  Array.from({ length: seeds }, (_, i) => ({
    labels: { arm, lr: 1e-5, ...(checkpoint === undefined ? {} : { checkpoint }) },
    seed: i + 1,
    status: "done",
    value: failed.includes(i + 1) ? 50 : 70,
    baseline: 52.7,
    failed: failed.includes(i + 1),
    steps: 468,
    warmupSteps: 47,
  }))
const evidence = (...given: (readonly RunEvidence[])[]): Evidence => ({
  runs: given.flat(),
  observations: [],
})
const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

describe("fewer failures", () => {
  test("with one checkpoint, McNemar's exact test decides", () => {
    const given = evidence(runs("vanilla", 30, range(1, 8)), runs("SimCSE(0.1)", 30, [30]))
    const [judged] = judgeAll([claim], given)
    // 8 pairs of one kind, 1 of the other: 2 · (1 + 9) / 2⁹.
    expect(judged).toMatchObject({
      kind: "fewer-failures",
      family: "fewer-failures",
      statement: "SimCSE(0.1) fails in fewer runs than vanilla at lr=1e-5.",
      verdict: "holds",
      leans: "for",
      seeds: 30,
      test: { name: "exact McNemar test", p: expect.closeTo(20 / 512, 12) },
    })
    expect(judged!.effect!.value).toBeCloseTo((-100 * 7) / 30, 10)
    expect(judged!.groups[1]!.text).toBe("8 of 30 failed (26.7 %, 14.2 % to 44.4 %)")
    expect(
      judgeAll([claim], evidence(runs("SimCSE(0.1)", 30, range(1, 8)), runs("vanilla", 30, [30])))[0]!
        .verdict,
    ).toBe("does not hold")
  })

  test("two batch sizes do not pair over arms with and without checkpoint seeds, but within one arm they do", () => {
    const at = (batch: number, given: readonly RunEvidence[]) =>
      given.map((run) => ({ ...run, labels: { ...run.labels, batch } }))
    const given = evidence(
      ...[8, 32].flatMap((batch) => [
        at(batch, runs("vanilla", 10, batch === 8 ? range(1, 8) : [])),
        at(batch, runs("SimCSE(0.1)", 10, [], 42)),
      ]),
    )
    const sides = { arm: { batch: 32 }, than: { batch: 8 } }
    const [mixed, within] = judgeAll(
      [fewerFailures(sides), fewerFailures({ ...sides, where: { arm: "vanilla" }, family: "vanilla" })],
      given,
    )
    expect(mixed).toMatchObject({
      verdict: "cannot be told",
      missing:
        "batch=32 has runs with and without a checkpoint's seed, so they do not pair; choose one arm by where.",
    })
    expect(within).toMatchObject({ verdict: "holds", test: { p: expect.closeTo(2 / 256, 12) } })
  })

  test("five seeds cannot decide it, and it says so", () => {
    const [judged] = judgeAll([claim], evidence(runs("vanilla", 5, range(1, 5)), runs("SimCSE(0.1)", 5, [])))
    expect(judged!.test!.p).toBe(0.0625)
    expect(judged!.verdict).toBe("cannot be told")
    expect(judged!.reason).toContain("5 seeds cannot give less than p = 0.0625")
    expect(judged!.seedsNeeded).toBe(6)
  })

  test("the paper's counts, unpaired", () => {
    const [judged] = judgeAll([claim], evidence())
    expect(judged!.verdict).toBe("cannot be told")
    expect(judged!.reason).toBe("There is no value of SimCSE(0.1) at lr=1e-5.")
    // scipy.stats.fisher_exact([[0, 30], [7, 23]])
    expect(judged!.paper).toMatchObject({
      verdict: "holds",
      test: { p: expect.closeTo(0.010542535074203226, 12) },
    })
  })

  test("plans say what Holm's adjustment leaves out of reach", () => {
    const other = fewerFailures({ arm: "SimCSE(0.1)", than: "vanilla" })
    const design = {
      runs: ["vanilla", "SimCSE(0.1)"].map((arm) => ({ labels: { arm, lr: 1e-5 }, seeds: range(1, 6) })),
      observations: [],
    }
    expect(planAll([other], design)[0]).not.toContain("cannot be told")
    expect(planAll([other, { ...other, family: "other" }], design)[0]).not.toContain("cannot be told")
    expect(planAll([other, other], design)[1]).toContain(
      "The least p that this design can give is 0.0313, and 0.0625 after Holm's adjustment, so it cannot be told.",
    )
  })

  test("plans say the least p and the power", () => {
    const design = (seeds: number) => ({
      runs: ["vanilla", "SimCSE(0.1)"].map((arm) => ({ labels: { arm, lr: 1e-5 }, seeds: range(1, seeds) })),
      observations: [],
    })
    expect(claim.plan(design(5), 0.95)).toMatchObject({ problems: [], leastP: 0.0625, power: 0 })
    expect(planAll([claim], design(5))[0]).toContain("The least p that this design can give is 0.0625")
    // Of 30 pairs, 6 must differ: P(Bin(30, 7/30) ≥ 6).
    expect(claim.plan(design(30), 0.95).power).toBeCloseTo(0.7333825258920317, 10)
    expect(claimProblems([fewerFailures({ arm: "SimCSE(0.2)", than: "vanilla" })], design(5))).toEqual([
      "there is no arm SimCSE(0.2); did you mean SimCSE(0.1)?",
    ])
  })
})
