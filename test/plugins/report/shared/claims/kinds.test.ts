import { describe, expect, test } from "bun:test"
import { agreement } from "../../../../../plugins/report/shared/claims/agreement.ts"
import { association } from "../../../../../plugins/report/shared/claims/association.ts"
import type { Claim } from "../../../../../plugins/report/shared/claims/claim.ts"
import { fewerFailures } from "../../../../../plugins/report/shared/claims/fewer-failures.ts"
import { higherMean } from "../../../../../plugins/report/shared/claims/higher-mean.ts"
import { inFailedRuns } from "../../../../../plugins/report/shared/claims/in-failed-runs.ts"
import { observed } from "../../../../../plugins/report/shared/claims/observed.ts"
import { claimProblems, planAll } from "../../../../../plugins/report/shared/claims/plan.ts"
import { sameSign } from "../../../../../plugins/report/shared/claims/same-sign.ts"
import { slope } from "../../../../../plugins/report/shared/claims/slope.ts"
import { smallerSpread } from "../../../../../plugins/report/shared/claims/smaller-spread.ts"
import { judgeAll } from "../../../../../plugins/report/shared/claims/verdict.ts"
import { evidence, rows, runs } from "./evidence.ts"

const vanilla = { arm: "vanilla", lr: 1e-5 }
const simcse = { arm: "SimCSE", lr: 1e-5 }
const sides = { arm: "SimCSE", than: "vanilla" }
const judged = (claim: Claim, given: Parameters<Claim["judge"]>[0]) => judgeAll([claim], given)[0]!

describe("higher mean", () => {
  const before = [60, 64, 58, 66, 61, 63]
  const after = [66, 65, 67, 70, 64, 69]

  test("with one checkpoint a side it is the paired t test, with the signed-rank test beside it", () => {
    const found = judged(higherMean(sides), evidence([runs(vanilla, before), runs(simcse, after)]))
    // scipy.stats.ttest_rel(after, before), its 95 % interval, and wilcoxon
    expect(found.test).toEqual({
      name: "paired t test",
      p: expect.closeTo(0.008105740777958491, 10),
      leastP: null,
    })
    expect(found.interval!.low).toBeCloseTo(1.9086884385803118, 10)
    expect(found.interval!.high).toBeCloseTo(7.757978228086355, 10)
    expect(found.also).toEqual([{ name: "exact signed-rank test by seeds", p: 0.03125, leastP: 0.03125 }])
    expect(found).toMatchObject({ verdict: "holds", seeds: 6, effect: { value: expect.closeTo(29 / 6, 10) } })
  })

  test("is refuted only by evidence for the contrary", () => {
    const worse = evidence([runs(simcse, before), runs(vanilla, after)])
    expect(judged(higherMean(sides), worse).verdict).toBe("does not hold")
    const same = evidence([runs(simcse, before), runs(vanilla, [...before].reverse())])
    const found = judged(higherMean(sides), same)
    expect(found).toMatchObject({ verdict: "cannot be told", leans: null, effect: { value: 0 } })
    expect(found.test!.p).toBe(1)
  })

  test("a run that diverged counts as the baseline, and the difference without it is told", () => {
    const found = judged(
      higherMean(sides),
      evidence([runs(vanilla, before), runs(simcse, [66, 65, null, 70, 64, 69])]),
    )
    expect(found.effect!.value).toBeCloseTo((6 + 1 + 52.7 - 58 + 4 + 3 + 6) / 6, 10)
    expect(found.notes).toContain(
      "1 seed with a diverged run, which counts as the baseline; without them the difference is 4.",
    )
  })

  test("a design of five seeds says that the signed-rank test cannot reach .05", () => {
    const design = {
      runs: [vanilla, simcse].map((labels) => ({ labels, seeds: [1, 2, 3, 4, 5] })),
      observations: [],
    }
    expect(higherMean(sides).plan(design, 0.95).limits).toEqual([
      "With 5 seeds the signed-rank test cannot give less than p = 0.0625: that the t test may decide rests on the differences being normal.",
    ])
  })
})

describe("the power for the paper's effects, before anything runs", () => {
  const seeds = Array.from({ length: 30 }, (_, s) => s)
  const design = (checkpoints: readonly number[]) => ({
    runs: [
      { labels: vanilla, seeds },
      ...checkpoints.map((checkpoint) => ({ labels: { ...simcse, checkpoint }, seeds })),
    ],
    observations: [],
  })
  const given = { mean: 68, deviation: 5, of: 30, failures: 5 }
  const kinds = [
    fewerFailures({ ...sides, paper: { arm: { count: 0, of: 30 }, than: { count: 7, of: 30 } } }),
    higherMean({
      ...sides,
      paper: { arm: { mean: 70, deviation: 2, of: 30 }, than: { mean: 65, deviation: 6, of: 30 } },
    }),
    smallerSpread({
      ...sides,
      paper: { baseline: 52.7, arm: { ...given, deviation: 2, failures: 0 }, than: given },
    }),
  ]

  test("is not known where checkpoints differ by what the paper does not say", () => {
    for (const kind of kinds) {
      const one = kind.plan(design([42]), 0.95)
      expect(one.power).toBeGreaterThan(0.3)
      expect(one.limits.join()).not.toContain("power")
      const several = kind.plan(design([42, 43]), 0.95)
      expect(several.power).toBeNull()
      expect(several.limits.join()).toContain(
        "how much checkpoints differ: the power for its effect is not known.",
      )
    }
  })
})

describe("checkpoints as a random effect", () => {
  const before = [60, 64, 58, 66, 61, 63]
  const of = (checkpoint: number, gain: number) =>
    runs(
      { ...simcse, checkpoint },
      before.map((value, s) => value + gain + 0.1 * (s % 3)),
    )

  test("what holds of one checkpoint is told of that one alone, and of three that differ it cannot be told", () => {
    const one = judged(higherMean(sides), evidence([runs(vanilla, before), of(42, 6)]))
    expect(one.verdict).toBe("holds")
    expect(one.notes).toContain(
      "SimCSE has one checkpoint: the finding is about that checkpoint, not about the method that made it.",
    )
    const three = judged(
      higherMean(sides),
      evidence([runs(vanilla, before), of(42, 6), of(43, 0), of(44, 2)]),
    )
    expect(three).toMatchObject({
      verdict: "cannot be told",
      checkpoints: [
        { arm: "SimCSE", count: 3 },
        { arm: "vanilla", count: 1 },
      ],
      seedsNeeded: null,
    })
    // The checkpoints' means 6.1, 0.1, 2.1 alone: t = 2.77 / (3.06 / √3) with 2 degrees of freedom.
    expect(three.test!.p).toBeCloseTo(0.2575, 3)
    expect(three.reason).toContain("More seeds alone would not show an effect of this size.")
  })

  test("failures of all seeds in one of three checkpoints are not failures of the arm", () => {
    const failed = (checkpoint: number, all: boolean) =>
      runs(
        { ...simcse, checkpoint },
        before.map(() => (all ? 50 : 70)),
      )
    const given = evidence([runs(vanilla, before), failed(1, true), failed(2, false), failed(3, false)])
    expect(judged(fewerFailures({ arm: "vanilla", than: "SimCSE" }), given)).toMatchObject({
      verdict: "cannot be told",
      leans: "for",
    })
    const alone = evidence([runs(vanilla, before), failed(1, true)])
    expect(judged(fewerFailures({ arm: "vanilla", than: "SimCSE" }), alone).verdict).toBe("holds")
  })
})

describe("smaller spread", () => {
  // Half of vanilla's runs fail.
  const spread = [52, 71, 50, 69, 51, 70, 52, 72, 51, 70]
  const narrow = [70, 71, 69, 71, 70, 72, 71, 70, 69, 70]

  test("is decided by the distances from the median, seed by seed", () => {
    const found = judged(smallerSpread(sides), evidence([runs(vanilla, spread), runs(simcse, narrow)]))
    // Of |x − median|, scipy.stats.ttest_rel; S by numpy.std.
    expect(found.test!.name).toBe("Brown–Forsythe test on pairs")
    expect(found.test!.p).toBeCloseTo(3.5390598930405853e-9, 15)
    expect(found).toMatchObject({
      verdict: "holds",
      effect: { value: expect.closeTo(0.9 / 9.641576634555161, 12) },
    })
    expect(found.also.map(({ name }) => name)).toEqual([
      "sign-flip test of the distances from the median",
      "paired bootstrap of the ratio",
    ])
    expect(found.also[0]!.p).toBe(2 / 1024)
    expect(
      judged(smallerSpread(sides), evidence([runs(simcse, spread), runs(vanilla, narrow)])).verdict,
    ).toBe("does not hold")
  })

  test("says that S may be larger than the runs show where none failed", () => {
    const found = judged(smallerSpread(sides), evidence([runs(vanilla, spread), runs(simcse, narrow)]))
    const [low, high] = /\((.*) to (.*)\)/.exec(found.groups[0]!.text)!.slice(1).map(Number)
    // None of 10 failed: up to 27.8 % could, at vanilla's 51.2.
    expect(low).toBeGreaterThan(0.6)
    expect(high).toBeGreaterThan(8)
    const mild = judged(
      smallerSpread(sides),
      evidence([runs(vanilla, [71, 75, 66, 70, 74]), runs(simcse, narrow.slice(0, 5))]),
    )
    expect(mild.interval!.high).toBeGreaterThan(1)
    expect(mild.notes.at(-1)).toContain("allows for failures that so few runs need not show")
  })

  test("has no ratio where the runs of the other side are all equal", () => {
    const collapsed = evidence([runs(vanilla, [52.7, 52.7, 52.7]), runs(simcse, [60, 65, 72])])
    const found = judged(smallerSpread(sides), collapsed)
    expect(found).toMatchObject({ effect: null, interval: null, leans: "against" })
    expect(found.notes).toContain("S of vanilla is 0, so the ratio has no number.")
  })

  test("has no test where no run differs from another", () => {
    const same = evidence([runs(vanilla, [70, 70, 70]), runs(simcse, [71, 71, 71])])
    expect(judged(smallerSpread(sides), same)).toMatchObject({
      verdict: "cannot be told",
      test: null,
      reason: "No run differs from another of its side.",
    })
  })
})

describe("observed", () => {
  const ranks = (labels: object, values: readonly (readonly number[])[]) =>
    values.flatMap((layers, seed) => [
      ...layers.map((normalised, layer) => ({
        labels: labels as Record<string, string | number>,
        seed: seed + 1,
        row: { step: 0, layer, block: `layer.${layer}`, normalised },
      })),
      {
        labels: labels as Record<string, string | number>,
        seed: seed + 1,
        row: { step: 0, layer: null, block: "encoder", normalised: 1 },
      },
    ])
  const given = evidence(
    [],
    [
      ranks({ arm: "vanilla", lr: 1e-5 }, [
        [0.5, 0.75],
        [0.5, 0.625],
        [0.5625, 0.75],
        [0.5, 0.75],
      ]),
      ranks({ arm: "SimCSE", lr: 1e-5 }, [
        [0.75, 0.875],
        [0.8125, 0.75],
        [0.75, 0.875],
        [0.75, 1],
      ]),
    ],
  )
  const claim = {
    ...sides,
    column: "normalised",
    by: "layer",
    where: { step: 0 },
    direction: "higher",
  } as const

  test("pairs seeds and layers, and leaves out rows without a layer", () => {
    const found = judged(observed(claim), given)
    // By seed: ((.25 + .125), (.3125 + .125), (.1875 + .125), (.25 + .25)) / 2
    const differences = [0.1875, 0.21875, 0.15625, 0.25]
    const mean = differences.reduce((a, b) => a + b) / 4
    expect(found.effect!.value).toBeCloseTo(mean, 12)
    expect(found).toMatchObject({ verdict: "holds", seeds: 4 })
    expect(judged(observed({ ...claim, sum: true }), given).effect!.value).toBeCloseTo(2 * mean, 12)
    expect(judged(observed({ ...claim, direction: "lower" }), given).verdict).toBe("does not hold")
  })

  test("says before anything runs what difference it can find, where the paper prints no spread", () => {
    const design = {
      runs: [],
      observations: [vanilla, simcse].map((labels) => ({
        ...{ labels, seeds: [1, 2, 3, 4, 5, 6] },
        columns: ["step", "layer", "normalised"],
      })),
    }
    const { limits } = observed({ ...claim, paper: { arm: 0.95, than: 0.8 } }).plan(design, 0.95)
    // scipy.stats.nct: 1.43455
    expect(limits).toEqual([
      "The paper prints no spread for this, so the power for its effect is not known: 6 seeds of one checkpoint a side find, with probability 0.8, a difference of 1.43 standard deviations of the seeds' differences.",
    ])
    expect(observed(claim).plan(design, 0.95).limits).toEqual([])
  })

  test("does not depend on the order of the evidence", () => {
    const reversed = { runs: [], observations: [...given.observations].reverse() }
    expect(judged(observed(claim), reversed)).toEqual(judged(observed(claim), given))
  })

  test("names that no observation has are problems of the plan", () => {
    const design = {
      runs: [],
      observations: [{ labels: vanilla, seeds: [1], columns: ["step", "layer", "normalised"] }],
    }
    expect(claimProblems([observed({ ...claim, column: "normalized", arm: "vanila" })], design)).toEqual([
      "there is no label or column of observations normalized; did you mean normalised?",
      "there is no arm vanila; did you mean vanilla?",
    ])
    expect(claimProblems([observed({ ...claim, than: "vanilla", where: { step: "lst" } })], design)).toEqual([
      "there is no arm SimCSE; known: vanilla",
      "there is no step lst; did you mean last? (or, for a step of that number, the number itself)",
    ])
  })
})

describe("sides that cannot be compared are problems of the plan", () => {
  const design = {
    runs: [vanilla, simcse].map((labels) => ({ labels, seeds: [1, 2] })),
    observations: [vanilla, simcse].map((labels) => ({ labels, seeds: [1, 2], columns: ["step", "rank"] })),
  }
  type Given = Omit<Parameters<typeof sameSign>[0], "column" | "across" | "by">
  const kinds = [
    fewerFailures,
    higherMean,
    smallerSpread,
    (given: Given) => observed({ ...given, column: "rank", direction: "higher" }),
    (given: Given) => sameSign({ ...given, column: "rank", across: "lr" }),
  ]

  test("an arm and itself", () => {
    for (const kind of kinds) {
      expect(claimProblems([kind({ arm: "vanilla", than: { arm: "vanilla" } })], design)).toEqual([
        "vanilla is compared with itself; expected another arm, or other labels",
      ])
    }
  })

  test("two learning rates", () => {
    for (const kind of kinds) {
      expect(claimProblems([kind({ ...sides, lr: 1e-5, where: { lr: 2e-5 } })], design)).toEqual([
        "lr is given as 0.00001 and, in where, as 0.00002; expected one of them",
      ])
      expect(claimProblems([kind({ ...sides, lr: 1e-5 })], design)).toEqual([])
    }
  })

  test("no label at all", () => {
    for (const kind of kinds) expect(() => kind({ ...sides, arm: {} })).toThrow("one label or more")
  })

  test("a label that nothing has, to compare its values", () => {
    expect(claimProblems([sameSign({ ...sides, column: "rank", across: "tsk" })], design)).toEqual([
      "there is no label or column of observations tsk; known: arm, lr, step, rank",
    ])
  })
})

describe("in failed runs", () => {
  const given = (values: readonly number[]) =>
    evidence(
      [runs(vanilla, [50, 51, 50, 70, 71, 72, 70])],
      [
        rows(
          vanilla,
          values.map((erank) => ({ step: 468, erank })),
        ),
      ],
    )
  const claim = inFailedRuns({ column: "erank", where: { step: "last" }, direction: "lower" })

  test("permutes seeds: 3 of 7 failed, all of the lowest ranks", () => {
    const found = judged(claim, given([1, 3, 2, 9, 8, 10, 9]))
    expect(found.test!.p).toBeCloseTo(2 / 35, 12)
    expect(found.test!.leastP).toBeCloseTo(1 / 35, 12)
    expect(found).toMatchObject({ verdict: "cannot be told", leans: "for", effect: { value: -7 } })
    expect(found.groups[0]).toEqual({ name: "failed", text: "mean 2, 3 runs" })
  })

  test("plans with the seeds that are watched to the end, not those before the first update", () => {
    const cohort = { labels: vanilla, columns: ["step", "erank"] }
    const design = (...seeds: number[]) => ({
      runs: [],
      observations: [
        { ...cohort, seeds: [1, 2, 3, 4, 5, 6, 7], steps: [0] },
        { ...cohort, seeds, steps: [1, 468] },
      ],
    })
    expect(claim.plan(design(1), 0.95).leastP).toBe(1)
    expect(claim.plan(design(1, 2), 0.95).leastP).toBe(1)
    expect(claim.plan(design(1, 2, 3), 0.95).leastP).toBe(2 / 6)
    expect(planAll([claim], design(1))[0]).toInclude(
      "The least p that this design can give is 1, so it cannot be told.",
    )
  })

  test("says what is lacking", () => {
    expect(
      judged(
        claim,
        evidence(
          [runs(vanilla, [50, 51])],
          [
            rows(vanilla, [
              { step: 468, erank: 1 },
              { step: 468, erank: 2 },
            ]),
          ],
        ),
      ).reason,
    ).toBe("Every run of these failed. There is nothing to compare.")
    expect(
      judged(claim, evidence([runs(vanilla, [50, 51])], [rows(vanilla, [{ step: 0, erank: 1 }])])).reason,
    ).toBe("No run has erank at step=last and an outcome.")
  })
})

describe("association", () => {
  const x = [1, 2, 3, 4, 5, 6]
  const given = evidence(
    [runs(vanilla, [60, 62, 61, 65, 66, 70]), runs(simcse, [80, 82, 81, 85, 86, 90])],
    [
      rows(
        vanilla,
        x.map((rank) => ({ step: 0, rank })),
      ),
      rows(
        simcse,
        x.map((rank) => ({ step: 0, rank: 10 - rank })),
      ),
    ],
  )
  const rank = { column: "rank", where: { step: 0 } }

  test("is within cohorts by default: what differs between arms does not enter", () => {
    const found = judged(association({ x: rank, y: "metric", direction: "positive" }), given)
    expect(found.effect!.value).toBeCloseTo(0, 12)
    const one = { ...given, runs: given.runs.slice(0, 6) }
    const alone = judged(association({ x: rank, y: "metric", direction: "positive" }), one)
    // scipy.stats.spearmanr; 6 exchanges at most as close to ±1 among 720 orders
    expect(alone.effect!.value).toBeCloseTo(0.9428571428571428, 12)
    expect(alone.test!.p).toBeCloseTo(12 / 720, 12)
    expect(alone.verdict).toBe("holds")
  })

  test("the least p is that of a correlation of 1", () => {
    const pairs = (labels: object, xs: readonly number[], ys: readonly number[]) => ({
      runs: runs({ arm: "vanilla", ...labels }, ys),
      rows: rows(
        { arm: "vanilla", ...labels },
        xs.map((rank) => ({ step: 0, rank })),
      ),
    })
    const test = (method: "spearman" | "pearson", ...of: readonly ReturnType<typeof pairs>[]) =>
      judged(
        association({ x: rank, y: "metric", direction: "positive", method }),
        evidence(
          of.map((one) => one.runs),
          of.map((one) => one.rows),
        ),
      ).test!
    const uneven = pairs({ lr: 1e-5 }, [1, 2, 4, 8], [1, 2, 4, 8])
    // Of the 24 orders the reversed one is as far from 0 for ranks, though not for these numbers.
    expect(test("spearman", uneven)).toMatchObject({ p: 2 / 24, leastP: 2 / 24 })
    expect(test("pearson", uneven)).toMatchObject({ p: 1 / 24, leastP: 1 / 24 })
    const other = pairs({ lr: 2e-5 }, [2, 1, 3, 4], [2, 1, 3, 4])
    expect(test("spearman", uneven, other)).toMatchObject({ p: 1 / 24, leastP: 1 / 24 })
    expect(test("pearson", pairs({ lr: 1e-5 }, [1, 2], [1, 2]))).toMatchObject({ p: 1, leastP: 1 })
  })

  test("joins a number observed at one learning rate to the runs at all of them", () => {
    const other = { ...vanilla, lr: 2e-5 }
    const both = evidence(
      [runs(vanilla, [60, 62, 61, 65]), runs(other, [50, 52, 51, 55])],
      [
        rows(
          vanilla,
          [1, 2, 3, 4].map((rank) => ({ step: 0, rank })),
        ),
      ],
    )
    const claim = {
      x: { column: "rank", where: { step: 0, lr: 1e-5 } },
      y: "metric",
      direction: "positive",
    } as const
    expect(judged(association(claim), both).notes[0]).toBe(
      "Within 2 cohorts; a permutation moves the seeds of all alike.",
    )
  })

  test("over cohorts, a cohort is one observation", () => {
    const found = judged(
      association({ x: rank, y: "metric", direction: "positive", units: "cohorts" }),
      given,
    )
    expect(found.test).toMatchObject({ p: 1, leastP: 1 })
    expect(found.verdict).toBe("cannot be told")
  })
})

describe("association over cohorts", () => {
  const pairs = [
    [1, 2],
    [2, 3],
    [3, 5],
    [4, 4],
    [5, 6],
    [6, 9],
  ] as const
  const claim = (more: object = {}) =>
    association({ x: { column: "x" }, y: { column: "y" }, direction: "positive", units: "cohorts", ...more })
  /** One run of each arm, or of each of its checkpoints, which lie evenly about it. */
  const arms = (checkpoints: readonly number[]) =>
    pairs.flatMap(([x, y], i) =>
      checkpoints.map((checkpoint) => {
        const labels = { arm: `arm ${i}`, ...(checkpoints.length > 1 ? { checkpoint } : {}) }
        return rows(labels, [{ step: 0, x: x + checkpoint, y: y - 2 * checkpoint }])
      }),
    )

  test("an arm is one observation, however many checkpoints it has", () => {
    const one = judged(claim(), evidence([], arms([0])))
    const three = judged(claim(), evidence([], arms([-0.1, 0, 0.1])))
    expect(one.effect!.value).toBeCloseTo(1 - (6 * 2) / (6 * 35), 12)
    expect([three.effect, three.test]).toEqual([one.effect, one.test])
  })

  test("may be that of some arms", () => {
    const chosen = judged(claim({ arms: ["arm 0", "arm 1", "arm 2"] }), evidence([], arms([0])))
    expect(chosen.effect!.value).toBe(1)
    expect(chosen.test!.leastP).toBeCloseTo(2 / 6, 12)
  })
})

describe("a name", () => {
  const named = { column: "rank", where: { step: 0, lr: 1e-5 }, called: "effective rank at first" }

  test("stands in statements for the column and where it is compared, but for the learning rate", () => {
    const other = { column: "slope", where: { step: 0 } }
    const claims = [
      observed({ ...named, ...sides, direction: "higher" }),
      observed({ ...named, ...sides, by: "layer", sum: true, direction: "lower" }),
      sameSign({ ...named, ...sides, across: "task" }),
      inFailedRuns({ ...named, direction: "lower" }),
      association({ x: named, y: "metric", direction: "negative" }),
      agreement({ first: named, second: other, margin: 0.5 }),
      slope({ x: "batch", y: named, is: "negative" }),
    ]
    expect(claims.map(({ statement }) => statement)).toEqual([
      "SimCSE has a higher effective rank at first than vanilla at lr=1e-5.",
      "SimCSE has a lower effective rank at first than vanilla at lr=1e-5.",
      "The difference of effective rank at first between SimCSE and vanilla at lr=1e-5 has the same sign at every task.",
      "Effective rank at first is lower in runs that failed than in others of the same cohort.",
      "Over the runs of a cohort, effective rank at first and the metric have a negative correlation.",
      "Effective rank at first and slope at step=0 agree on average within 0.5.",
      "Effective rank at first falls as a power of batch.",
    ])
  })

  test("changes nothing that is found", () => {
    const ranksOf = (ranks: readonly number[]) => ranks.map((rank) => ({ step: 0, rank }))
    const given = evidence([], [rows(vanilla, ranksOf([1, 2, 3])), rows(simcse, ranksOf([2, 4, 4]))])
    const { called, ...unnamed } = named
    const [with_, without] = [named, unnamed].map((quantity) =>
      judged(observed({ ...quantity, ...sides, direction: "higher" }), given),
    )
    expect(with_!.effect!.name).toBe(`difference of ${called}`)
    expect(with_!.test).toEqual(without!.test)
    expect(with_!.interval).toEqual(without!.interval)
  })
})

describe("agreement of numbers that several rows have", () => {
  const both = [
    { step: 0, full: 4, block: 1 },
    { step: 0, full: 2, block: 3 },
  ]
  const given = (order: readonly number[]) =>
    evidence(
      [],
      [1, 2, 3].map((seed) =>
        order.map((i) => ({ labels: vanilla, seed, row: { ...both[i], full: both[i]!.full + seed } })),
      ),
    )
  const claim = agreement({ first: { column: "full" }, second: { column: "block" }, margin: 5 })

  test("is that of their means, whatever the order of the rows", () => {
    const found = judged(claim, given([0, 1]))
    expect(found.effect!.value).toBeCloseTo(3 + 2 - 2, 12)
    expect(judged(claim, given([1, 0]))).toEqual(found)
  })
})

describe("agreement", () => {
  const given = (differences: readonly number[]) =>
    evidence(
      [],
      [
        rows(
          vanilla,
          differences.map((d, i) => ({ step: 0, full: 5 + i + d, block: 5 + i })),
        ),
      ],
    )
  const claim = agreement({
    first: { column: "full", where: { step: 0 } },
    second: { column: "block", where: { step: 0 } },
    margin: 1,
  })

  test("two one-sided tests: the interval must lie within the margin, or outside it", () => {
    const close = judged(claim, given([0.1, -0.2, 0.3, 0.1, 0.2]))
    // Mean 0.1, s/√n = 0.0836660: t = 0.9 / 0.0836660 with 4 degrees of freedom, two-sided.
    expect(close.test!.p).toBeCloseTo(0.00042341039707389925, 10)
    expect(close.verdict).toBe("holds")
    expect(judged(claim, given([3, 3.2, 2.9, 3.1, 3])).verdict).toBe("does not hold")
    const wide = judged(claim, given([2, -2, 1, -3, 2]))
    expect(wide).toMatchObject({ verdict: "cannot be told", leans: "for" })
    expect(wide.seedsNeeded).toBeGreaterThan(5)
  })
})

describe("slope", () => {
  const at = (batch: number, lr: number, values: readonly number[]) =>
    runs({ arm: "vanilla", batch, lr }, values)
  // The best learning rate doubles with the batch in every seed but one.
  const given = evidence([
    at(8, 1, [70, 70, 70, 70, 70]),
    at(8, 2, [60, 60, 60, 60, 71]),
    at(8, 4, [60, 60, 60, 60, 60]),
    at(16, 1, [60, 60, 60, 60, 60]),
    at(16, 2, [70, 70, 70, 70, 70]),
    at(16, 4, [60, 60, 60, 60, 60]),
    at(32, 1, [60, 60, 60, 60, 60]),
    at(32, 2, [60, 60, 60, 60, 60]),
    at(32, 4, [70, 70, 70, 70, 70]),
  ])

  test("of the best learning rate, seed by seed", () => {
    const found = judged(slope({ x: "batch", y: "best lr", is: "positive" }), given)
    // 1 in four seeds, ½ in the fifth
    expect(found.effect!.value).toBeCloseTo(0.9, 12)
    expect(found.test!.p).toBeCloseTo(0.0008438325176012779, 10)
    expect(found.verdict).toBe("holds")
    expect(found.notes[0]).toContain(
      "In 9 of 15 cases the best learning rate is the lowest or the highest tried",
    )
    const root = slope({ x: "batch", y: "best lr", is: { equals: 0.5, within: 0.1 } })
    expect(root.statement).toBe("The best learning rate grows as batch to the power 0.5, within 0.1.")
    expect(judged(root, given).verdict).toBe("does not hold")
  })

  test("of what a probe observed", () => {
    const noise = evidence(
      [],
      [8, 16, 32].map((batch) =>
        rows(
          { arm: "vanilla", batch },
          [1, 2, 3].map((c) => ({ noise: c * Math.sqrt(batch) })),
        ),
      ),
    )
    const claim = slope({ x: "batch", y: { column: "noise" }, is: { equals: 0.5, within: 0.1 } })
    expect(judged(claim, noise).effect!.value).toBeCloseTo(0.5, 12)
  })
})
