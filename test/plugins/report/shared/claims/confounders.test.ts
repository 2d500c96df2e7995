import { describe, expect, test } from "bun:test"
import type { CohortPlace, Difference } from "../../../../../core/api/difference.ts"
import type { Labels } from "../../../../../core/api/plugin.ts"
import { association } from "../../../../../plugins/report/shared/claims/association.ts"
import type { Claim, Design } from "../../../../../plugins/report/shared/claims/claim.ts"
import {
  confoundedClaims,
  confounderLimits,
  confounderSentences,
  placesOf,
} from "../../../../../plugins/report/shared/claims/confounders.ts"
import { fewerFailures } from "../../../../../plugins/report/shared/claims/fewer-failures.ts"
import { higherMean } from "../../../../../plugins/report/shared/claims/higher-mean.ts"
import { observed } from "../../../../../plugins/report/shared/claims/observed.ts"
import { sameSign } from "../../../../../plugins/report/shared/claims/same-sign.ts"
import { smallerSpread } from "../../../../../plugins/report/shared/claims/smaller-spread.ts"

const lr: Difference = { name: "lr of fine-tuning", first: "1", second: "2" }
const method: Difference = { name: "further training", first: "new", second: "none" }

interface Given {
  readonly runs?: readonly Labels[]
  /** With their columns and steps. */
  readonly observations?: readonly Pick<Design["observations"][number], "labels" | "columns" | "steps">[]
  /** By the labels of two cohorts. */
  readonly differ?: (first: Labels, second: Labels) => readonly Difference[]
}

/** What is found, and which pairs of cohorts were compared. */
const found = (claims: readonly Claim[], { runs = [], observations = [], differ = () => [] }: Given) => {
  const seeds = [1, 2]
  const design: Design = {
    runs: runs.map((labels) => ({ labels, seeds })),
    observations: observations.map((of) => ({ ...of, seeds })),
  }
  const compared: string[] = []
  const labelsOf = ({ input, index }: CohortPlace) =>
    (input === "runs" ? design.runs : design.observations)[index]!.labels
  const confounded = confoundedClaims(
    claims,
    design,
    { runs: placesOf({ runs }), observations: placesOf({ observations }) },
    (first, second) => {
      const [one, other] = [labelsOf(first), labelsOf(second)]
      compared.push(`${Object.values(one).join(" ")} | ${Object.values(other).join(" ")}`)
      return differ(one, other)
    },
  )
  return { confounded, compared }
}

const sides = { arm: "new", than: "old" }
const both = [{ arm: "new" }, { arm: "old" }]

describe("what is declared", () => {
  const declaring = (...differs: string[]) =>
    found([fewerFailures({ ...sides, differs })], { runs: both, differ: () => [method, lr] }).confounded

  test("all of it: the claim is not confounded", () => {
    expect(declaring("further training", "lr of fine-tuning")).toEqual([])
  })

  test("a part: the rest is a confounder", () => {
    const [claim] = declaring("further training")
    expect(claim).toEqual({
      claim: "new fails in fewer runs than old.",
      ...sides,
      declared: ["further training"],
      undeclared: [lr],
      absent: [],
    })
    expect(confounderLimits([claim!])).toEqual([
      {
        limit:
          "Confounders: besides further training, new differs from old in lr of fine-tuning (1 against 2), which may be the cause.",
        claim: "new fails in fewer runs than old.",
      },
    ])
  })

  test("nothing", () => {
    expect(confounderSentences(declaring())).toEqual([
      "Confounders: new differs from old in further training (new against none) and lr of fine-tuning (1 against 2), and nothing is declared (1 claim).",
    ])
  })

  test("what is not there at all", () => {
    expect(confounderSentences(declaring("further training", "lr of fine-tuning", "pooler"))).toEqual([
      "new does not differ from old in pooler, though that is declared (1 claim).",
    ])
  })
})

test("every kind that compares two sides says so; the others are not confounded", () => {
  const column = { ...sides, column: "rank" }
  const kinds = [
    fewerFailures(sides),
    higherMean(sides),
    smallerSpread(sides),
    observed({ ...column, direction: "higher" }),
    sameSign({ ...column, across: "task" }),
    association({ x: { column: "rank" }, y: "metric", direction: "positive" }),
  ]
  const observations = both.map((labels) => ({ labels: { ...labels, task: "a" }, columns: ["rank"] }))
  const { confounded } = found(kinds, { runs: both, observations, differ: () => [lr] })
  expect(confounded).toHaveLength(5)
})

describe("cohorts are paired", () => {
  const claim = fewerFailures({ ...sides, differs: ["lr of fine-tuning"] })

  test("by every label that both sides have, except the one compared", () => {
    const runs = ["new", "old"].flatMap((arm) => [1, 2].map((lr) => ({ arm, lr })))
    expect(found([claim], { runs }).compared).toEqual(["new 1 | old 1", "new 2 | old 2"])
  })

  test("each checkpoint of a side with the only model of the other", () => {
    const runs = [{ arm: "old" }, { arm: "new", checkpoint: 42 }, { arm: "new", checkpoint: 43 }]
    expect(found([claim], { runs }).compared).toEqual(["new 42 | old", "new 43 | old"])
  })

  test("checkpoints of equal seeds, or of any if both sides have others", () => {
    const of = (arm: string, checkpoint: number) => ({ arm, checkpoint })
    expect(
      found([claim], { runs: [of("new", 1), of("new", 2), of("old", 1), of("old", 2)] }).compared,
    ).toEqual(["new 1 | old 1", "new 2 | old 2"])
    expect(found([claim], { runs: [of("new", 1), of("old", 7)] }).compared).toEqual(["new 1 | old 7"])
  })

  test("only where the claim looks", () => {
    const runs = ["new", "old"].flatMap((arm) =>
      [1, 2].flatMap((lr) => ["a", "b"].map((task) => ({ arm, lr, task }))),
    )
    const narrow = fewerFailures({ ...sides, lr: 2, where: { task: "b" }, differs: ["x"] })
    expect(found([narrow], { runs }).compared).toEqual(["new 2 b | old 2 b"])
  })

  test("by labels in the place of an arm", () => {
    const runs = ["new", "old"].flatMap((arm) => [8, 16].map((batch) => ({ arm, batch })))
    const larger = fewerFailures({ arm: { batch: 16 }, than: { batch: 8 }, differs: ["x"] })
    expect(found([larger], { runs }).compared).toEqual(["new 16 | new 8", "old 16 | old 8"])
  })

  test("those of observations that have the column and the step", () => {
    const rank = { ...sides, column: "rank", direction: "higher", where: { step: 0, block: "x" } } as const
    const of = (arm: string, probe: string, columns: readonly string[], ...steps: number[]) => ({
      labels: { arm, probe },
      columns,
      steps,
    })
    const observations = [
      ...["new", "old"].flatMap((arm) => [
        of(arm, "before", ["rank"], 0),
        of(arm, "other", ["norm"], 0),
        of(arm, "any", [], 0, 1),
      ]),
      of("new", "during", ["rank"], 1, 2),
    ]
    expect(found([observed(rank)], { observations }).compared).toEqual([
      "new before | old before",
      "new any | old any",
    ])
  })

  test("of several with the same labels, such as those of two probes, each with its like", () => {
    const observations = ["new", "old"].flatMap((arm) =>
      ["few", "many"].map((samples) => ({ labels: { arm }, columns: ["rank"], samples })),
    )
    // The labels are the same, so cohorts are told apart as objects.
    const like = new Map<Labels, string>(observations.map(({ labels, samples }) => [labels, samples]))
    const differ = (first: Labels, second: Labels) =>
      like.get(first) === like.get(second) ? [method] : [method, { ...lr, name: "samples of fisher" }]
    const claim = observed({ ...sides, column: "rank", direction: "higher", differs: ["further training"] })
    expect(found([claim], { observations, differ }).confounded).toEqual([])
  })

  test("with nothing if a side is not there: the claim is told elsewhere to be untold", () => {
    expect(found([claim], { runs: [{ arm: "new" }], differ: () => [lr] }).confounded).toEqual([])
  })
})

test("claims confounded by the same are told together, whichever side they name first", () => {
  const claims = [
    fewerFailures({ ...sides, differs: [] }),
    higherMean({ arm: "newer", than: "old" }),
    smallerSpread({ arm: "old", than: "new" }),
  ]
  const differ = ({ arm }: Labels) => [
    arm === "old" ? { name: "further training", first: "none", second: "new" } : method,
  ]
  const { confounded } = found(claims, { runs: [...both, { arm: "newer" }], differ })
  expect(confounderSentences(confounded)).toEqual([
    "Confounders: new and newer differ from old in further training (new against none), and nothing is declared (3 claims).",
  ])
})
