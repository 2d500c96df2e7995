import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { Checkpoint } from "../../../core/artifacts/checkpoint.ts"
import { selectExamples } from "../../../core/artifacts/examples.ts"
import { permutation, stream } from "../../../core/tensor/stream.ts"
import { saveModel } from "../../../plugins/model/hugging-face.ts"
import { type RepresentationRow, representation } from "../../../plugins/probe/representation.ts"
import { examplesOf, observer, type Setting, withCheckpoint } from "../finetune/running.ts"
import { tinyConfig, tinyModel } from "../model/tiny-model.ts"
import {
  centredVectors,
  distance,
  dot,
  entropyRankOf,
  erankOf,
  mean,
  norm,
  pairs,
  rowsIn,
  singularValues,
  type Vectors,
} from "./vectors.ts"
import { rowsOf, watched } from "./watched.ts"

const { root, checkpoint, freshScratch } = await withCheckpoint("representation")

const asking = (options: Readonly<Record<string, unknown>>, setting: Partial<Setting> = {}) =>
  rowsOf<RepresentationRow>(representation, { options }, { checkpoint, scratch: freshScratch(), ...setting })

describe("the representations of a run", () => {
  test("have the geometry of its hidden states, from their singular values, at each step", async () => {
    const steps = [0, 7, 18]
    const poolings = ["mean", "cls"] as const
    const samples = 7
    const vectors = new Map<string, Vectors>()
    const states = observer("states", steps, ({ step, train, hidden, logits, parameters }) => {
      const indices = permutation(stream(1, "probe"), 21, 0).subarray(0, samples)
      for (const [n, index] of indices.entries()) {
        const { sequences } = selectExamples(train, Int32Array.of(index))
        const add = (key: string, vector: readonly number[]) =>
          vectors.set(`${step} ${key}`, [...(vectors.get(`${step} ${key}`) ?? []), vector])
        for (const [depth, block] of ["embeddings", "layer.0", "layer.1"].entries()) {
          const tokens = rowsIn(
            tf.tidy(() => hidden(sequences, depth).dataSync()),
            8,
          )
          add(`${block} cls`, tokens[0]!)
          add(
            `${block} mean`,
            tokens[0]!.map((_, h) => mean(tokens.map((token) => token[h]!))),
          )
          if (depth < 2) continue
          const weight = rowsIn(parameters.get("bert.pooler.dense.weight").dataSync(), 8)
          const bias = parameters.get("bert.pooler.dense.bias").dataSync()
          const pooled = weight.map((row, o) => Math.tanh(dot(row, tokens[0]!) + bias[o]!))
          add("pooler cls", pooled)
          if (n > 0) continue
          // It is what the classifier reads.
          const classifier = rowsIn(parameters.get("classifier.weight").dataSync(), 8)
          const found = tf.tidy(() => logits(sequences).dataSync())
          for (const [c, row] of classifier.entries()) {
            expect(dot(row, pooled) + parameters.get("classifier.bias").dataSync()[c]!).toBeCloseTo(
              found[c]!,
              5,
            )
          }
        }
      }
      return { step }
    })
    const rows = await asking({ steps: { at: steps }, poolings, samples }, { observers: [states] })

    const blocks = [
      ["embeddings", null],
      ["layer.0", 0],
      ["layer.1", 1],
    ] as const
    expect(rows.map(({ step, block, layer, pooling }) => [step, block, layer, pooling])).toEqual(
      steps.flatMap((step) => [
        ...blocks.flatMap(([block, layer]) => poolings.map((pooling) => [step, block, layer, pooling])),
        [step, "pooler", null, "cls"],
      ]),
    )
    for (const row of rows) {
      const found = vectors.get(`${row.step} ${row.block} ${row.pooling}`)!
      expect(row.samples).toBe(samples)
      expect(row.anisotropy).toBeCloseTo(mean(pairs(found, (a, b) => dot(a, b) / (norm(a) * norm(b)))), 5)
      const potential = mean(pairs(found, (a, b) => Math.exp(-2 * distance(a, b))))
      expect(row.uniformity).toBeCloseTo(Math.log(potential), 5)
      const sigma = singularValues(found)
      expect(row.representationErank).toBe(erankOf(sigma))
      expect(row.representationRank).toBe(erankOf(sigma) / 7)
      // [CLS] is the same in every sequence until a layer has read the others: all but one σ are rounding.
      const isConstant = row.block === "embeddings" && row.pooling === "cls"
      expect(row.representationEntropyRank).toBeCloseTo(isConstant ? 1 : entropyRankOf(sigma), 3)
      if (isConstant) {
        expect(row.anisotropy).toBeCloseTo(1, 12)
        expect(row).toMatchObject({ representationErank: 1, centredErank: 0, centredEntropyRank: 0 })
        continue
      }
      const centred = singularValues(centredVectors(found))
      expect(row.centredErank).toBe(erankOf(centred))
      expect(row.centredRank).toBe(erankOf(centred) / 6)
      expect(row.centredEntropyRank).toBeCloseTo(entropyRankOf(centred), 3)
    }
    const at = (step: number) => rows.find((row) => row.step === step && row.block === "layer.1")!.anisotropy
    expect(at(18)).not.toBe(at(0))
  })

  test("are of more examples than fit into a batch, the first of which are those of fewer", async () => {
    const data = examplesOf(70)
    const [few] = await asking({ samples: 4, poolings: ["mean"] }, { data })
    const rows = await asking({ samples: 70, poolings: ["mean"] }, { data })
    // The same in another order.
    const [reversed] = await asking({ samples: 70, poolings: ["mean"] }, { data, options: { seed: 5 } })
    expect(rows).toHaveLength(3)
    expect(few!.anisotropy).not.toBe(rows[0]!.anisotropy)
    expect(reversed!.anisotropy).not.toBe(rows[0]!.anisotropy)
    expect(reversed!.anisotropy).toBeCloseTo(rows[0]!.anisotropy!, 9)
    expect(reversed!.representationErank).toBe(rows[0]!.representationErank)
  })

  test("are the same at every learning rate", async () => {
    const usual = await asking({ samples: 5 })
    expect(await asking({ samples: 5 }, { options: { lr: 1e-5, dropout: 0.3 } })).toEqual(usual)
    expect(usual.map(({ block }) => block)).toEqual(["embeddings", "layer.0", "layer.1", "pooler"])
  })
})

describe("the probe fails alone, with a reason,", () => {
  test("if there are fewer examples than samples", async () => {
    const setting = { checkpoint, scratch: freshScratch() }
    expect(await watched(representation, { options: { samples: 22 } }, setting)).toMatchObject({
      outcome: "failed",
      message: "step 0: samples: expected at most 21, the number of training examples, found 22",
    })
  })

  test("if representations are not finite", async () => {
    const model = tinyModel()
    const name = "bert.encoder.layer.1.output.LayerNorm.weight"
    model.parameters.set(name, tf.fill([tinyConfig.hidden], 3e38))
    const folder = join(root, "overflowing")
    await Effect.runPromise(saveModel(folder, model, "BertModel"))
    model.parameters.dispose()
    const overflowing = await Effect.runPromise(Checkpoint.read(folder))
    const setting = { checkpoint: overflowing, scratch: freshScratch() }
    expect(await watched(representation, { options: { samples: 5 } }, setting)).toMatchObject({
      outcome: "diverged",
      message: "step 0: the representations of layer.1, pooler are not finite",
    })
  })

  test.each([
    [{ samples: 1 }, "samples"],
    [{ poolings: [] }, "poolings"],
    [{ poolings: ["cls", "cls"] }, "poolings"],
  ])("options %p are refused", async (options, named) => {
    await expect(asking(options)).rejects.toThrow(named)
  })
})
