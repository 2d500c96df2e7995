import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import type { CheckpointEstimate } from "../../../core/artifacts/checkpoint.ts"
import type { RunEstimate } from "../../../core/artifacts/run.ts"
import { selectSequences } from "../../../core/artifacts/sequences.ts"
import { permutation, stream } from "../../../core/tensor/stream.ts"
import { ckaOf } from "../../../plugins/probe/cka/hsic.ts"
import { type CkaRow, cka } from "../../../plugins/probe/cka.ts"
import { completed, observer, type Setting, withCheckpoint, writeCheckpoint } from "../finetune/running.ts"
import { gramOf, rowsIn } from "./vectors.ts"
import { type Asked, rowsOf, watched } from "./watched.ts"

const { root, checkpoint, freshScratch } = await withCheckpoint("cka")

const asking = (asked: Asked, setting: Partial<Setting> = {}) =>
  rowsOf<CkaRow>(cka, asked, { checkpoint, scratch: freshScratch(), ...setting })

const lr = 5e-3

describe("CKA of a run", () => {
  test("with its own start is 1 at first, and then that of its hidden states", async () => {
    const grams = new Map<string, Float64Array>()
    const steps = [0, 9, 18]
    const states = observer("states", steps, ({ step, train, hidden }) => {
      const batch = selectSequences(train.sequences, permutation(stream(1, "probe"), 21, 0).subarray(0, 12))
      for (const depth of [1, 2]) {
        const tokens = rowsIn(
          tf.tidy(() => hidden(batch, depth).dataSync()),
          8,
        )
        const cls = batch.offsets.subarray(0, -1)
        grams.set(`${step} layer.${depth - 1}`, gramOf([...cls].map((at) => tokens[at]!)))
      }
      return { step }
    })
    const asked = { options: { samples: 12, steps: { at: [9], last: true } } }
    const rows = await asking(asked, { options: { lr }, observers: [states] })
    expect(rows.map(({ step, block, referenceBlock }) => [step, block, referenceBlock])).toEqual(
      steps.flatMap((step) =>
        ["embeddings", "layer.0", "layer.1", "pooler"].map((block) => [step, block, block]),
      ),
    )
    for (const { step, block, cka } of rows) {
      if (block === "embeddings") expect(cka).toBeNull()
      else if (step === 0) expect(cka).toBeCloseTo(1, 12)
      else if (block !== "pooler") {
        expect(cka).toBeCloseTo(ckaOf(grams.get(`${step} ${block}`)!, grams.get(`0 ${block}`)!, 12)!, 4)
      }
    }
    const last = rows.findLast(({ block }) => block === "layer.1")!
    expect(last.cka).toBeLessThan(0.999)
  })

  test("with the checkpoint that it starts from is the same, without the pooler", async () => {
    const options = { samples: 12, poolings: ["cls", "mean"], steps: { at: [9] } }
    const own = await asking({ options }, { options: { lr } })
    const other = await asking({ options, inputs: { reference: checkpoint } }, { options: { lr } })
    expect(other).toEqual(own.filter(({ block }) => block !== "pooler"))
  })

  test("with all blocks of another checkpoint, of another width and depth", async () => {
    const reference = await writeCheckpoint(join(root, "other"), { layers: 1, hidden: 12, heads: 3 })
    const options = { samples: 12, poolings: ["mean"], blocks: "all", steps: {} }
    const rows = await asking({ options, inputs: { reference } })
    expect(rows.map(({ block, referenceBlock }) => [block, referenceBlock])).toEqual(
      ["embeddings", "layer.0", "layer.1"].flatMap((block) =>
        ["embeddings", "layer.0"].map((other) => [block, other]),
      ),
    )
    for (const { cka } of rows) {
      expect(cka).toBeLessThan(1)
      expect(cka).toBeGreaterThan(-1)
    }
  })

  test("with a model that cannot read the data is refused, and the run continues", async () => {
    const reference = await writeCheckpoint(join(root, "short"), { positions: 4 })
    const setting = { checkpoint, scratch: freshScratch() }
    const found = await watched(cka, { options: { samples: 12 }, inputs: { reference } }, setting)
    expect(String(found)).toContain(
      "the run's data has a sequence of 8 tokens, but the model takes at most 4",
    )
  })
})

describe("the estimate", () => {
  const run: RunEstimate = {
    steps: 18,
    warmupSteps: 2,
    batchSize: 4,
    tokensPerExample: 7,
    parameters: 2000,
    layers: 2,
    hidden: 8,
    intermediate: 12,
    heads: 2,
    vocabularySize: 20,
    positions: 16,
    keepsModel: false,
  }
  const reference: CheckpointEstimate = { ...run, layers: 1, hidden: 12 }
  const estimate = (options: object, inputs: object) =>
    (cka.estimate as unknown as (options: object, inputs: object) => { readonly artifact: object })(
      completed(cka, { ...options }),
      { run, ...inputs },
    ).artifact

  test("counts the rows with a reference", () => {
    const options = { poolings: ["cls", "mean"], steps: { at: [0, 4] } }
    // [CLS]: 3 depths, of which 2 have a counterpart, and no pooler; the means likewise.
    expect(estimate(options, { reference })).toMatchObject({ rows: 2 * (2 + 2) })
    expect(estimate({ ...options, blocks: "all" }, { reference })).toMatchObject({
      rows: 2 * (4 * 2 + 3 * 2),
    })
  })

  test("refuses a reference with another vocabulary", () => {
    expect(() => estimate({}, { reference: { ...reference, vocabularySize: 21 } })).toThrow(
      "reference must have the vocabulary of the run's model, 20 tokens (was 21)",
    )
  })
})
