import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { Checkpoint } from "../../../core/artifacts/checkpoint.ts"
import { saveModel } from "../../../plugins/model/hugging-face.ts"
import { distilbert } from "../../../plugins/model/layouts/distilbert.ts"
import { type WeightRankRow, weightRank } from "../../../plugins/probe/weight-rank.ts"
import { observer, type Setting, withCheckpoint, writeCheckpoint } from "../finetune/running.ts"
import { tinyModel } from "../model/tiny-model.ts"
import { dot, entropyRankOf, erankOf, norm, rowsIn, singularValues, type Vectors } from "./vectors.ts"
import { rowsOf, watched } from "./watched.ts"

const { root, checkpoint, freshScratch } = await withCheckpoint("weight-rank")

const asking = (options: Readonly<Record<string, unknown>>, setting: Partial<Setting> = {}) =>
  rowsOf<WeightRankRow>(weightRank, { options }, { checkpoint, scratch: freshScratch(), ...setting })

const names = {
  query: "attention.self.query",
  key: "attention.self.key",
  value: "attention.self.value",
  attentionOutput: "attention.output.dense",
  intermediate: "intermediate.dense",
  output: "output.dense",
} as const

const parameterOf = ({ block, weight }: Pick<WeightRankRow, "block" | "weight">): string =>
  weight === "pooler" ? "bert.pooler.dense.weight" : `bert.encoder.${block}.${names[weight]}.weight`

describe("the weights of a run", () => {
  test("have the ranks of their singular values, and the distance from copies of the start", async () => {
    const steps = [0, 7, 18]
    const copies = new Map<string, Vectors>()
    const keep = observer("copies", steps, ({ step, parameters }) => {
      for (const name of parameters.names) {
        const tensor = parameters.get(name)
        if (tensor.rank === 2) copies.set(`${step} ${name}`, rowsIn(tensor.dataSync(), tensor.shape[1]!))
      }
      return { step }
    })
    const rows = await asking(
      { steps: { at: [7], last: true } },
      { observers: [keep], options: { lr: 5e-3 } },
    )
    const weights = ["layer.0", "layer.1"].flatMap((block, layer) =>
      Object.keys(names).map((weight) => [block, layer, weight] as const),
    )
    expect(rows.map(({ step, block, layer, weight }) => [step, block, layer, weight])).toEqual(
      steps.flatMap((step) => [
        ...weights.map(([block, layer, weight]) => [step, block, layer, weight]),
        [step, "pooler", null, "pooler"],
      ]),
    )
    for (const row of rows) {
      const found = copies.get(`${row.step} ${parameterOf(row)}`)!
      const start = copies.get(`0 ${parameterOf(row)}`)!
      const least = Math.min(found.length, found[0]!.length)
      const sigma = singularValues(found).slice(0, least)
      expect(row.weightErank).toBe(erankOf(sigma))
      expect(row.weightRank).toBe(erankOf(sigma) / least)
      expect(row.weightEntropyRank).toBeCloseTo(entropyRankOf(sigma), 6)
      expect(row.stableRank).toBeCloseTo(dot(sigma, sigma) / sigma[0]! ** 2, 9)
      expect(row.norm).toBeCloseTo(norm(found.flat()), 9)
      const moved = found.flat().map((value, i) => value - start.flat()[i]!)
      expect(row.distance).toBeCloseTo(norm(moved), 12)
      if (row.step === 0) expect(row.distance).toBe(0)
      else expect(row.distance).toBeGreaterThan(0)
    }
  })

  test("have moved from those of a reference, whose pooler may be missing", async () => {
    const other = tinyModel(undefined, undefined, 8)
    const names = [
      parameterOf({ block: "layer.1", weight: "key" }),
      parameterOf({ block: "pooler", weight: "pooler" }),
    ]
    const values = names.map((name) => [...other.parameters.get(name).dataSync()])
    const folders = { whole: join(root, "whole"), bare: join(root, "bare") }
    await Effect.runPromise(saveModel(folders.whole, other, "BertModel"))
    await Effect.runPromise(saveModel(folders.bare, other, "BertForMaskedLM"))
    other.parameters.dispose()
    const own: number[][] = []
    const keep = observer("own", [18], ({ step, parameters }) => {
      own.push(...names.map((name) => [...parameters.get(name).dataSync()]))
      return { step }
    })
    const distances = async (folder: string) => {
      const inputs = { reference: await Effect.runPromise(Checkpoint.read(folder)) }
      const setting = { checkpoint, scratch: freshScratch(), observers: [keep], options: { lr: 5e-3 } }
      const rows = await rowsOf<WeightRankRow>(weightRank, { inputs }, setting)
      return rows
        .filter((row) => row.step === 18 && names.includes(parameterOf(row)))
        .map(({ distance }) => distance)
    }
    const [key, pooler] = await distances(folders.whole)
    const expected = own.map((vector, i) => norm(vector.map((value, at) => value - values[i]![at]!)))
    expect(key).toBeCloseTo(expected[0]!, 9)
    expect(pooler).toBeCloseTo(expected[1]!, 9)
    expect(await distances(folders.bare)).toEqual([key!, null])
  })

  test("are compared with those of a model of another layout never", async () => {
    const inputs = { reference: await writeCheckpoint(join(root, "distilbert"), { layout: distilbert }) }
    const setting = { checkpoint, scratch: freshScratch() }
    expect(String(await watched(weightRank, { inputs }, setting))).toContain(
      "reference must be a model of the run's layout: it has no bert.encoder.layer.0.attention.self.query.weight",
    )
  })

  test("have rank 1 if their rows are multiples of each other, and 0 if they are zero", async () => {
    const model = tinyModel()
    const rows = tf.tidy(() => tf.outerProduct(tf.range(1, 9), tf.range(-3, 5)))
    model.parameters.set("bert.encoder.layer.0.attention.self.query.weight", rows as tf.Tensor2D)
    model.parameters.set("bert.encoder.layer.1.intermediate.dense.weight", tf.zeros([12, 8]))
    const folder = join(root, "degenerate")
    await Effect.runPromise(saveModel(folder, model, "BertModel"))
    model.parameters.dispose()
    const degenerate = await Effect.runPromise(Checkpoint.read(folder))
    const found = await asking({ steps: {} }, { checkpoint: degenerate })
    const of = (block: string, weight: string) =>
      found.find((row) => row.block === block && row.weight === weight)!
    expect(of("layer.0", "query")).toMatchObject({ weightErank: 1, weightRank: 1 / 8 })
    expect(of("layer.0", "query").stableRank).toBeCloseTo(1, 12)
    expect(of("layer.1", "intermediate")).toMatchObject({
      weightErank: 0,
      weightEntropyRank: 0,
      stableRank: 0,
      norm: 0,
    })
  })
})
