import { describe, expect, test } from "bun:test"
import type { Evidence } from "../../../../../plugins/report/shared/claims/claim.ts"
import { claimProblems, planAll } from "../../../../../plugins/report/shared/claims/plan.ts"
import { sameSign } from "../../../../../plugins/report/shared/claims/same-sign.ts"
import { judgeAll } from "../../../../../plugins/report/shared/claims/verdict.ts"

const claim = sameSign({ arm: "SimCSE", than: "vanilla", column: "normalised", by: "layer", across: "task" })

/** Differences of the arm from vanilla, seed by seed, at two layers of each task. */
const evidence = (differences: Readonly<Record<string, readonly number[]>>): Evidence => ({
  runs: [],
  observations: Object.entries(differences).flatMap(([task, bySeed]) =>
    bySeed.flatMap((difference, i) =>
      [0, 1].flatMap((layer) =>
        (["vanilla", "SimCSE"] as const).map((arm) => ({
          labels: { arm, task },
          seed: i + 1,
          row: { layer, normalised: 0.5 + (arm === "vanilla" ? 0 : difference) + 0.1 * layer },
        })),
      ),
    ),
  ),
})
/** Mean m, standard error s/√n: t = m √n / s. */
const around = (mean: number) => [mean - 0.02, mean, mean + 0.02, mean]
/** t = 0.1 · 2 / 0.0163 at 3 degrees of freedom; the two-sided p in closed form. */
const pOf = (mean: number) => {
  const t = Math.abs(mean) / (Math.sqrt((2 * 0.02 ** 2) / 3) / 2)
  const angle = Math.atan(t / Math.sqrt(3))
  return 1 - (2 / Math.PI) * (angle + Math.sin(angle) * Math.cos(angle))
}

describe("the same sign", () => {
  test("holds if every difference is found on one side: the largest p decides", () => {
    const [judged] = judgeAll([claim], evidence({ rte: around(0.1), cola: around(0.05), sst2: around(0.2) }))
    expect(judged).toMatchObject({
      verdict: "holds",
      statement: "The difference of normalised between SimCSE and vanilla has the same sign at every task.",
      seeds: 4,
      effect: { name: "difference of normalised at task=cola", value: expect.closeTo(0.05, 10) },
      test: { p: expect.closeTo(pOf(0.05), 8) },
    })
    expect(judged!.groups.map(({ name }) => name)).toEqual(["task=cola", "task=rte", "task=sst2"])
    const below = judgeAll([claim], evidence({ rte: around(-0.1), cola: around(-0.05) }))
    expect(below[0]!.verdict).toBe("holds")
  })

  test("cannot be told if one of the differences is not found", () => {
    const [judged] = judgeAll([claim], evidence({ rte: around(0.1), cola: around(0.01) }))
    expect(judged).toMatchObject({ verdict: "cannot be told", test: { p: expect.closeTo(pOf(0.01), 8) } })
    const [zero] = judgeAll([claim], evidence({ rte: around(0.1), cola: around(0) }))
    expect(zero!.verdict).toBe("cannot be told")
  })

  test("does not hold if one is found on either side, adjusted for the others there", () => {
    const given = { rte: around(0.1), cola: around(0.3), sst2: around(-0.2) }
    const [judged] = judgeAll([claim], evidence(given))
    expect(judged).toMatchObject({
      verdict: "does not hold",
      leans: "against",
      effect: { name: "difference of normalised at task=sst2" },
      test: { p: expect.closeTo(pOf(0.2), 8) },
    })
    const [open] = judgeAll([claim], evidence({ ...given, sst2: around(-0.01) }))
    expect([open!.verdict, open!.leans]).toEqual(["cannot be told", "against"])
  })

  test("needs two values of the label and two seeds", () => {
    expect(judgeAll([claim], evidence({ rte: around(0.1) }))[0]!.reason).toBe(
      "There are fewer than two values of task to compare.",
    )
    expect(judgeAll([claim], evidence({ rte: [0.1], cola: [0.1] }))[0]!.reason).toContain("One seed")
  })

  test("a plan says that there is one value only, and that a name is unknown", () => {
    const observations = ["vanilla", "SimCSE"].map((arm) => ({
      labels: { arm, task: "rte" },
      seeds: [1, 2, 3],
      columns: ["step", "layer", "normalised"],
    }))
    expect(planAll([claim], { runs: [], observations })[0]).toContain("fewer than two values of task")
    const other = sameSign({ arm: "SimCSE", than: "vanilla", column: "normalized", across: "task" })
    expect(claimProblems([other], { runs: [], observations }).join()).toContain("normalized")
  })
})
