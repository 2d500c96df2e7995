import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { selectExamples } from "../../../core/artifacts/examples.ts"
import { normal, permutation, stream } from "../../../core/tensor/stream.ts"
import type { ClassifierView } from "../../../plugins/model/view.ts"
import { hessianOf } from "../../../plugins/probe/hessian/product.ts"
import { type HessianRow, hessian } from "../../../plugins/probe/hessian.ts"
import {
  completed,
  examplesOf,
  fineTuning,
  observer,
  type Setting,
  withCheckpoint,
} from "../finetune/running.ts"

const { checkpoint, freshScratch } = await withCheckpoint("hessian")

const watching = (options: Readonly<Record<string, unknown>> = {}) => ({
  key: "hessian",
  options: completed(hessian, { samples: 4, blocks: ["layers"], iterations: 8, vectors: 2, ...options }),
  probe: hessian.probe!,
  gives: hessian.gives,
})

const ended = (setting: Partial<Setting>) =>
  Effect.runPromise(fineTuning({ checkpoint, scratch: freshScratch(), wanted: false, ...setting }))

const rowsOf = async (options: Readonly<Record<string, unknown>> = {}, setting: Partial<Setting> = {}) => {
  const { rows } = await ended({ observers: [watching(options)], ...setting })
  const found = rows.get("hessian")
  if (!Array.isArray(found)) throw found
  return found as readonly HessianRow[]
}

describe("the Hessian of a fine-tuning run", () => {
  test("is that of the run's loss over the examples that the Fisher has", async () => {
    // The eigenvalue of the largest |λ|, by powers of the Hessian.
    const dominant = observer("dominant", [0], (view: ClassifierView) => {
      const examples = selectExamples(view.train, permutation(view.stream, 21, 0).subarray(0, 4))
      const names = view.blocks.get("layer.1")!
      const size = names.reduce((sum, name) => sum + view.parameters.get(name).size, 0)
      const operator = hessianOf(() => view.lossOf(examples), view.parameters, names)
      let vector = Float64Array.from(normal({ stream: stream(9, "test"), site: 0, iteration: 0 }, size))
      let value = 0
      for (let power = 0; power < 25; power++) {
        const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0))
        const product = operator(vector.map((x) => x / length))
        value = product.reduce((sum, x, i) => sum + (x * vector[i]!) / length, 0)
        vector = Float64Array.from(product)
      }
      return { size, value }
    })
    const { rows } = await ended({ observers: [watching({ iterations: 20 }), dominant] })
    const found = rows.get("hessian") as readonly HessianRow[]
    const [{ size, value }] = rows.get("dominant") as readonly [
      { readonly size: number; readonly value: number },
    ]
    expect(found[1]!.found[0]! / value).toBeCloseTo(1, 3)
    expect(found.map(({ block, layer, parameters }) => [block, layer, parameters])).toEqual([
      ["layer.0", 0, size],
      ["layer.1", 1, size],
    ])
    for (const row of found) {
      expect(row.asymmetry).toBeLessThan(1e-4)
      expect(row.erank).toBeGreaterThan(1)
      expect(row.erank).toBeLessThan(size)
      expect(Math.abs(row.trace)).toBeLessThan(row.absoluteTrace)
      // Σ λ = Σ |λ| (1 − 2 · the negative share)
      expect(row.trace / row.absoluteTrace).toBeCloseTo(1 - 2 * row.negative, 9)
    }
  })

  test("is the same in every row of a step, for each threshold, and with the same seed", async () => {
    const options = { steps: { at: [0], last: true }, thresholds: [0.5, 0.9], blocks: ["encoder"] }
    const rows = await rowsOf(options)
    expect(rows.map(({ step, block, threshold }) => [step, block, threshold])).toEqual([
      [0, "encoder", 0.5],
      [0, "encoder", 0.9],
      [18, "encoder", 0.5],
      [18, "encoder", 0.9],
    ])
    expect(rows[0]!.absoluteTrace).toBe(rows[1]!.absoluteTrace)
    expect(rows[0]!.erank).toBeLessThanOrEqual(rows[1]!.erank)
    expect(rows[0]!.absoluteTrace).not.toBe(rows[2]!.absoluteTrace)
    expect(await rowsOf(options)).toEqual(rows)
  })

  test("does not change the run", async () => {
    const alone = await ended({ wanted: true })
    const options = { steps: { at: [0, 9] }, iterations: 2 }
    const watched = await ended({ wanted: true, observers: [watching(options)] })
    expect(watched.run).toEqual(alone.run)
  })

  test("needs as many examples as samples", async () => {
    const { rows } = await ended({ observers: [watching({ samples: 22 })], data: examplesOf(21) })
    expect(rows.get("hessian")).toMatchObject({
      _tag: "UnitFailure",
      message: "step 0: samples: expected at most 21, the number of training examples, found 22",
    })
  })
})
