import { describe, expect, test } from "bun:test"
import { layerRanksOf, modelRanksOf } from "../../../../../plugins/report/study-page/statistics/rank.ts"
import { rank, studyOf } from "../fragments.ts"

describe("ranks before fine-tuning", () => {
  const study = studyOf({
    before: [
      rank("SimCSE", 1, 2, 16),
      rank("SimCSE", 1, 1, 16),
      rank("vanilla", 1, 1, 8),
      rank("vanilla", 1, 2, 4),
      rank("vanilla", 2, 1, 16),
      rank("vanilla", 2, 2, 4),
      rank("vanilla", 3, 1, 2),
    ],
  })

  test("by layer: mean over the seeds that have it, and Student's interval", () => {
    const ranks = layerRanksOf(study)
    expect(ranks.map(({ arm, layer, seeds }) => [arm, layer, seeds])).toEqual([
      ["vanilla", 1, 3],
      ["vanilla", 2, 2],
      ["SimCSE", 1, 1],
      ["SimCSE", 2, 1],
    ])
    expect(ranks[0]!.mean).toBeCloseTo((0.5 + 1 + 0.125) / 3, 14)
    expect(ranks[1]!.meanStudent).toEqual({ kind: "none", why: "equal" })
    expect(ranks[2]!.meanStudent).toEqual({ kind: "none", why: "single" })
  })

  test("of the model: sums of complete seeds, and the number of layers", () => {
    const [vanilla, simcse] = modelRanksOf(study)
    expect(vanilla).toMatchObject({ arm: "vanilla", layers: 2, sums: [0.75, 1.25], incomplete: 1, mean: 1 })
    // t(0.95, 1) = 12.7062047, s = √0.125
    const half = (12.706204736174694 * Math.sqrt(0.125)) / Math.sqrt(2)
    expect(vanilla!.meanStudent).toEqual({
      kind: "interval",
      low: expect.closeTo(1 - half, 10),
      high: expect.closeTo(1 + half, 10),
    })
    expect(simcse).toMatchObject({ arm: "SimCSE", sums: [2], incomplete: 0, mean: 2 })
  })

  test("without a complete seed there is no sum", () => {
    const [vanilla] = modelRanksOf(studyOf({ before: [rank("vanilla", 1, 1, 8), rank("vanilla", 2, 2, 8)] }))
    expect(vanilla).toMatchObject({ sums: [], incomplete: 2, mean: null })
    expect(modelRanksOf(studyOf({}))).toEqual([])
  })
})
