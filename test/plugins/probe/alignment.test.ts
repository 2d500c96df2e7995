import { describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { selectSequences } from "../../../core/artifacts/sequences.ts"
import { permutation, stream } from "../../../core/tensor/stream.ts"
import { encode } from "../../../plugins/model/encoder.ts"
import { clsIndices, pool } from "../../../plugins/model/output-heads.ts"
import { type AlignmentRow, alignment } from "../../../plugins/probe/alignment.ts"
import { examplesOf, observer, type Setting, withCheckpoint } from "../finetune/running.ts"
import { distance, mean, rowsIn } from "./vectors.ts"
import { rowsOf } from "./watched.ts"

const { checkpoint, freshScratch } = await withCheckpoint("alignment")

const asking = (options: Readonly<Record<string, unknown>>, setting: Partial<Setting> = {}) =>
  rowsOf<AlignmentRow>(alignment, { options }, { checkpoint, scratch: freshScratch(), ...setting })

describe("alignment", () => {
  test("is the mean squared distance of the directions of two views, as training makes them", async () => {
    const samples = 6
    const steps = [0, 18]
    const expected = new Map<string, number>()
    const encoded = observer("encoded", steps, ({ step, train, config, parameters }) => {
      const indices = permutation(stream(1, "probe"), 21, 0).subarray(0, samples)
      const batch = selectSequences(train.sequences, [...indices, ...indices])
      const dropout = { rate: 0.3, stream: stream(1, "probe"), iteration: 1 }
      const model = { config, parameters }
      const [cls, pooled] = tf.tidy(() => {
        const states_TH = encode(model, batch, { dropout, indices: clsIndices(batch.offsets) })
        return [states_TH.dataSync(), pool(model, states_TH).dataSync()]
      })
      for (const [block, values] of [["layer.1", cls!] as const, ["pooler", pooled!] as const]) {
        const vectors = rowsIn(values, 8)
        const distances = indices.values().map((_, n) => distance(vectors[n]!, vectors[n + samples]!))
        expected.set(`${step} ${block}`, mean([...distances]))
      }
      return { step }
    })
    const rows = await asking({ samples, dropout: 0.3, steps: { at: steps } }, { observers: [encoded] })
    expect(rows.map(({ step, block }) => [step, block])).toEqual(
      steps.flatMap((step) => ["embeddings", "layer.0", "layer.1", "pooler"].map((block) => [step, block])),
    )
    for (const { step, block, alignment } of rows) {
      const known = expected.get(`${step} ${block}`)
      if (known !== undefined) expect(alignment).toBeCloseTo(known, 5)
      expect(alignment).toBeGreaterThan(0.01)
    }
  })

  test("vanishes with dropout, and grows with it", async () => {
    const of = async (dropout: number) => {
      const rows = await asking({ samples: 20, dropout, poolings: ["mean"] })
      return rows.map(({ alignment }) => alignment!)
    }
    // So little that no element is dropped.
    for (const value of await of(1e-10)) expect(value).toBe(0)
    const [little, more] = [await of(0.05), await of(0.4)]
    expect(little).toHaveLength(3)
    for (const [i, value] of little.entries()) expect(value).toBeLessThan(more[i]!)
  })

  test("has masks of its own for each batch", async () => {
    // The same example 40 times: if the second batch repeated the masks of the first, the views would be equal.
    const data = examplesOf(40)
    const one = selectSequences(data.train.sequences, new Int32Array(40))
    const alike = { ...data, train: { ...data.train, sequences: one } }
    const of = async (samples: number) => {
      const rows = await asking({ samples, dropout: 0.3 }, { data: alike })
      return rows.find(({ block }) => block === "layer.1")!.alignment!
    }
    // The two views of 32 samples are the rows of two batches.
    expect(await of(32)).toBeGreaterThan(0.01)
  })
})
