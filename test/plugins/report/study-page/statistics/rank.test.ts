import { describe, expect, test } from "bun:test"
import {
  atThreshold,
  layerRanksOf,
  modelRanksOf,
} from "../../../../../plugins/report/study-page/statistics/rank.ts"
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
    expect(ranks.map(({ arm, layer, rank }) => [arm, layer, rank.seeds])).toEqual([
      ["vanilla", 1, 3],
      ["vanilla", 2, 2],
      ["SimCSE", 1, 1],
      ["SimCSE", 2, 1],
    ])
    expect(ranks[0]!.rank.mean).toBeCloseTo((0.5 + 1 + 0.125) / 3, 14)
    expect(ranks[1]!.rank.interval).toEqual({ kind: "none", why: "equal" })
    expect(ranks[2]!.rank.interval).toEqual({ kind: "none", why: "single" })
  })

  test("of the model: sums of complete seeds, and the number of layers", () => {
    const [vanilla, simcse] = modelRanksOf(study)
    expect(vanilla).toMatchObject({ arm: "vanilla", layers: 2, incomplete: 1, difference: null })
    expect(vanilla!.cells.map(({ value }) => value)).toEqual([0.75, 1.25])
    // t(0.95, 1) = 12.7062047, s = √0.125
    const half = (12.706204736174694 * Math.sqrt(0.125)) / Math.sqrt(2)
    expect(vanilla!.rank).toMatchObject({
      mean: 1,
      interval: {
        kind: "interval",
        low: expect.closeTo(1 - half, 10),
        high: expect.closeTo(1 + half, 10),
      },
    })
    expect(simcse).toMatchObject({ arm: "SimCSE", incomplete: 0, rank: { mean: 2 } })
    // Only seed 1 is common: 2 − 0.75.
    expect(simcse!.difference).toMatchObject({ seeds: 1, mean: 1.25 })
  })

  test("without a complete seed there is no sum", () => {
    const [vanilla] = modelRanksOf(studyOf({ before: [rank("vanilla", 1, 1, 8), rank("vanilla", 2, 2, 8)] }))
    expect(vanilla).toMatchObject({ cells: [], incomplete: 2, rank: { mean: null } })
    expect(modelRanksOf(studyOf({}))).toEqual([])
  })

  test("differences are paired by seed: what seeds share does not widen their interval", () => {
    const levels = [2, 6, 10, 12]
    const before = levels.flatMap((level, seed) => [
      rank("vanilla", seed, 0, level),
      rank("SimCSE", seed, 0, level + 2 + (seed % 2)),
    ])
    const [layer] = layerRanksOf(studyOf({ before })).filter(({ arm }) => arm === "SimCSE")
    const { mean, interval } = layer!.difference!
    const differences = [2, 3, 2, 3].map((difference) => difference / 16)
    const centre = differences.reduce((sum, each) => sum + each, 0) / 4
    const deviation = Math.sqrt(differences.reduce((sum, each) => sum + (each - centre) ** 2, 0) / 3)
    // t(0.95, 3) = 3.182446305284263
    const half = (3.182446305284263 * deviation) / 2
    expect(mean).toBeCloseTo(centre, 14)
    expect(interval).toEqual({
      kind: "interval",
      low: expect.closeTo(centre - half, 10),
      high: expect.closeTo(centre + half, 10),
    })
    const unpaired = layer!.rank.interval
    if (unpaired.kind === "none") throw new Error("no interval")
    expect(unpaired.high - unpaired.low).toBeGreaterThan(5 * 2 * half)
  })

  test("checkpoints that differ widen the interval, however many seeds there are", () => {
    const seeds = Array.from({ length: 20 }, (_, seed) => seed)
    const of = (spread: number) =>
      modelRanksOf(
        studyOf({
          before: seeds.flatMap((seed) => [
            rank("vanilla", seed, 0, 4 + (seed % 2)),
            ...[42, 43, 44].map((checkpoint, c) => ({
              ...rank("SimCSE", seed, 0, 8 + (seed % 3) + spread * (c - 1)),
              checkpoint,
            })),
          ]),
        }),
      )[1]!.difference!
    const [equal, different] = [of(0), of(3)]
    expect(equal).toMatchObject({ checkpoints: 3, seeds: 20, mean: different.mean! })
    const width = ({ interval }: typeof equal) =>
      interval.kind === "none" ? Number.NaN : interval.high - interval.low
    // Three checkpoints 3/16 apart: t(0.95, 2) · (3/16) / √3 each way is the least that is left.
    expect(width(different)).toBeGreaterThan(2 * 4.3026 * (3 / 16 / Math.sqrt(3)) * 0.95)
    expect(width(equal)).toBeLessThan(0.1)
  })

  test("at another threshold ranks follow from the eigenvalues", () => {
    // 8 of 16, 12 of 16, 14 of 16 …: strictly more than the threshold.
    const record = {
      ...rank("vanilla", 1, 0, 5),
      eigenvalues: [8, 4, 2, 1, 1, ...new Array<number>(11).fill(0)],
    }
    for (const [threshold, erank] of [
      [0.49, 1],
      [0.5, 2],
      [0.8, 3],
      [0.9, 4],
      [0.999, 5],
    ] as const) {
      expect(modelRanksOf(studyOf({ before: [record] }), atThreshold(threshold))[0]!.rank.mean).toBe(
        erank / 16,
      )
    }
  })
})
