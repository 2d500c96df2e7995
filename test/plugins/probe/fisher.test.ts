import { describe, expect, test } from "bun:test"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { Cost } from "../../../core/api/cost.ts"
import { Checkpoint } from "../../../core/artifacts/checkpoint.ts"
import { type Examples, type Split, selectExamples } from "../../../core/artifacts/examples.ts"
import type { RunEstimate } from "../../../core/artifacts/run.ts"
import { selectSequences } from "../../../core/artifacts/sequences.ts"
import { permutation, stream } from "../../../core/tensor/stream.ts"
import { regression } from "../../../plugins/finetune/regression.ts"
import { saveModel } from "../../../plugins/model/hugging-face.ts"
import type { ClassifierView } from "../../../plugins/model/view.ts"
import { gramsByDefinition } from "../../../plugins/probe/fisher/definition.ts"
import { deviation } from "../../../plugins/probe/fisher/self-check.ts"
import { type FisherRow, fisher } from "../../../plugins/probe/fisher.ts"
import { blockGrams } from "../../../plugins/probe/shared/gram/block-grams.ts"
import { eigenvalues } from "../../../plugins/probe/shared/spectrum.ts"
import {
  completed,
  examplesOf,
  fineTuning,
  observer,
  type Setting,
  withCheckpoint,
} from "../finetune/running.ts"
import { tinyModel } from "../model/tiny-model.ts"

const { root, checkpoint, freshScratch } = await withCheckpoint("fisher")

const watching = (options: Readonly<Record<string, unknown>> = {}) => ({
  key: "fisher",
  options: completed(fisher, { samples: 5, ...options }),
  probe: fisher.probe!,
  gives: fisher.gives,
})

const ended = (setting: Partial<Setting>) =>
  Effect.runPromise(fineTuning({ checkpoint, scratch: freshScratch(), ...setting }))

const rowsOf = async (
  options: Readonly<Record<string, unknown>> = {},
  setting: Partial<Setting> = {},
): Promise<readonly FisherRow[]> => {
  const { rows } = await ended({ wanted: false, observers: [watching(options)], ...setting })
  const found = rows.get("fisher")
  if (!Array.isArray(found)) throw found
  return found
}

describe("the Fisher of a fine-tuning run", () => {
  test("is that of the training examples that the seed draws, at each step", async () => {
    const defined = new Map<number, ReadonlyMap<string, Float64Array>>()
    const observe = (view: ClassifierView) => {
      const indices = permutation(stream(1, "probe"), 21, 0).subarray(0, 5)
      expect(new Set(indices).size).toBe(5)
      const sequences = selectSequences(view.train.sequences, indices)
      const labels = Int32Array.from(indices, (index) => view.train.labels[index]!)
      const grams = gramsByDefinition(view, view.blocks, { sequences, labels })
      defined.set(view.step, blockGrams(view.blocks, grams))
      return { step: view.step }
    }
    const steps = [0, 2, 18]
    const options = {
      steps: { at: [0, 2], last: true },
      blocks: ["classifier", "layers", "pooler", "embeddings"],
    }
    const rows = await rowsOf(options, {
      observers: [watching(options), observer("defined", steps, observe)],
    })
    const blocks = ["embeddings", "layer.0", "layer.1", "pooler", "classifier", "encoder"]
    expect(rows.map(({ step, block }) => [step, block])).toEqual(
      steps.flatMap((step) => blocks.map((block) => [step, block])),
    )
    for (const { step, block, layer, samples, gram, trace } of rows) {
      expect(samples).toBe(5)
      expect(layer).toBe(block === "layer.0" ? 0 : block === "layer.1" ? 1 : null)
      expect(deviation(gram, defined.get(step)!.get(block)!)).toBeLessThan(1e-5)
      expect(trace).toBeCloseTo(gram[0]! + gram[6]! + gram[12]! + gram[18]! + gram[24]!, 8)
    }
    const first = (step: number) => rows.find((row) => row.step === step)!.gram
    expect(first(0)).not.toEqual(first(2))
  })

  test.each([0.99, 0.6])(
    "has ranks at the threshold %d that follow from the Gram matrix",
    async (threshold) => {
      for (const { gram, erank, normalised, srank, entropyRank } of await rowsOf({ threshold })) {
        const spectrum = eigenvalues(gram, 5)
        const share = (values: Float64Array, count: number) =>
          values.slice(0, count).reduce((sum, x) => sum + x, 0) / values.reduce((sum, x) => sum + x, 0)
        expect(share(spectrum, erank)).toBeGreaterThan(threshold)
        expect(share(spectrum, erank - 1)).toBeLessThanOrEqual(threshold)
        expect(normalised).toBe(erank / 5)
        expect(share(spectrum.map(Math.sqrt), srank)).toBeGreaterThanOrEqual(threshold)
        expect(share(spectrum.map(Math.sqrt), srank - 1)).toBeLessThan(threshold)
        expect(entropyRank).toBeGreaterThan(1)
        expect(entropyRank).toBeLessThanOrEqual(5)
      }
    },
  )

  test("is by default that of each layer and of all together, before the first update", async () => {
    const rows = await rowsOf({ samples: 1 })
    expect(rows.map(({ step, block, erank }) => [step, block, erank])).toEqual([
      [0, "layer.0", 1],
      [0, "layer.1", 1],
      [0, "encoder", 1],
    ])
    expect((await rowsOf({ blocks: ["classifier"] })).map(({ block }) => block)).toEqual(["classifier"])
  })

  test("keeps the Gram matrices of a layer's 16 tensors on request, whose sum is the layer's", async () => {
    const rows = await rowsOf({ grams: "tensors", blocks: ["layers", "pooler"] })
    for (const { layer, gram, tensors, tensorGrams } of rows) {
      if (layer === null) expect([tensors, tensorGrams]).toEqual([null, null])
      else {
        expect(tensors!.split(" ")).toHaveLength(16)
        expect(tensors!.split(" ").slice(0, 2)).toEqual(["query.weight", "query.bias"])
        const sum = gram.map((_, at) =>
          Array.from({ length: 16 }, (_, part) => tensorGrams![25 * part + at]!).reduce((a, b) => a + b, 0),
        )
        expect(deviation(sum, gram)).toBeLessThan(1e-12)
      }
    }
    const usual = await rowsOf({ blocks: ["layers", "pooler"] })
    expect(rows.map(({ gram }) => gram)).toEqual(usual.map(({ gram }) => gram))
    expect(usual[0]!.tensorGrams).toBeNull()
  })

  test("of two classes differs with the source of labels by the columns' lengths only", async () => {
    const cosines = ({ gram }: FisherRow) =>
      gram.map(
        (entry, at) => Math.abs(entry) / Math.sqrt(gram[6 * Math.floor(at / 5)]! * gram[6 * (at % 5)]!),
      )
    const usual = await rowsOf()
    for (const labels of ["sampled", "expected"]) {
      const rows = await rowsOf({ labels })
      for (const [at, row] of rows.slice(0, 2).entries()) {
        expect(deviation(cosines(row), cosines(usual[at]!))).toBeLessThan(1e-4)
        expect(row.gram).not.toEqual(usual[at]!.gram)
      }
    }
  })

  test("uses the same examples at every learning rate and dropout, and others with another seed", async () => {
    const usual = await rowsOf()
    expect(await rowsOf()).toEqual(usual)
    expect(await rowsOf({}, { options: { lr: 1e-4, dropout: 0.3, batchSize: 3 } })).toEqual(usual)
    expect(await rowsOf({}, { options: { seed: 2 } })).not.toEqual(usual)
    // Fewer samples are the first of those that more samples would be.
    const three = await rowsOf({ samples: 3 })
    const corner = usual[0]!.gram.filter((_, at) => at % 5 < 3 && at < 15)
    expect(deviation(three[0]!.gram, corner)).toBeLessThan(1e-5)
  })

  test("of a run that learns scores is that of a normal distribution around them", async () => {
    const classes = examplesOf(21)
    const scored = ({ sequences, labels }: Split): Split => ({
      sequences,
      labels: labels.map((label, n) => 0.3 + 1.5 * label + n / 50),
    })
    const data: Examples = {
      ...classes,
      labelNames: null,
      metrics: ["pearson"],
      train: scored(classes.train),
      dev: scored(classes.dev),
    }
    // The gradient of a squared error is −2 times that of log N(y; f(x), 1).
    const squares = observer("squares", [0], (view) => {
      const indices = permutation(stream(1, "probe"), 21, 0).subarray(0, 5)
      const examples = selectExamples(view.train, indices)
      const parameters = view.blocks.get("layer.1")!
      const gram = tf.tidy(() => {
        const gradients = view.gradients({ examples, per: "sample", parameters })
        const rows = parameters.map((name) => tf.reshape(gradients.get(name)!, [5, -1]))
        const all_NP = tf.concat(rows, 1)
        return tf.mul(tf.matMul(all_NP, all_NP, false, true), 0.25).dataSync()
      })
      return { gram: Float64Array.from(gram) }
    })
    const observers = [watching({ selfCheck: true }), squares]
    const { rows } = await ended({ plugin: regression, data, observers })
    const found = rows.get("fisher") as readonly FisherRow[]
    const { gram, selfCheck } = found.find(({ block }) => block === "layer.1")!
    const [expected] = rows.get("squares") as readonly { readonly gram: Float64Array }[]
    expect(Math.max(...expected!.gram)).toBeGreaterThan(1e-6)
    expect(deviation(gram, expected!.gram)).toBeLessThan(1e-5)
    expect(selfCheck).toBeLessThan(1e-5)
  })

  test("does not change the run", async () => {
    const options = { steps: { at: [0], every: 1 }, blocks: ["layers", "embeddings"] }
    const alone = await ended({})
    const watched = await ended({ observers: [watching(options)] })
    expect(watched.run).toEqual(alone.run)
  })

  test("checks itself on request", async () => {
    for (const { selfCheck } of await rowsOf()) expect(selfCheck).toBeNull()
    for (const { selfCheck } of await rowsOf({ selfCheck: true })) {
      expect(selfCheck).toBeGreaterThan(0)
      expect(selfCheck).toBeLessThan(1e-5)
    }
  })

  test("is read from its artifact as it was written", async () => {
    const folder = join(root, "artifact")
    await mkdir(folder)
    const rows = await rowsOf({ selfCheck: true })
    await Effect.runPromise(fisher.gives.write(folder, rows))
    expect(await Effect.runPromise(fisher.gives.read(folder))).toEqual(rows)
  })
})

describe("the probe fails alone, with a reason,", () => {
  const failureOf = async (options: Readonly<Record<string, unknown>>, setting: Partial<Setting> = {}) => {
    const { run, rows } = await ended({ observers: [watching(options)], ...setting })
    expect(run.steps).toBeGreaterThan(0)
    return rows.get("fisher")
  }

  test("if there are fewer examples than samples", async () => {
    expect(await failureOf({ samples: 22 }, { data: examplesOf(21) })).toMatchObject({
      _tag: "UnitFailure",
      outcome: "failed",
      message: "step 0: samples: expected at most 21, the number of training examples, found 22",
    })
    expect(await failureOf({ samples: 21 }, { data: examplesOf(21) })).toHaveLength(3)
  })

  test("if gradients are not finite", async () => {
    const model = tinyModel()
    model.parameters.set("bert.encoder.layer.1.output.LayerNorm.weight", tf.fill([8], 3e38))
    const folder = join(root, "overflowing")
    await Effect.runPromise(saveModel(folder, model, "BertModel"))
    model.parameters.dispose()
    const { rows } = await ended({
      checkpoint: await Effect.runPromise(Checkpoint.read(folder)),
      wanted: false,
      observers: [watching({ steps: { at: [0] }, blocks: ["layers", "pooler"] })],
    })
    expect(rows.get("fisher")).toMatchObject({
      outcome: "diverged",
      message: "step 0: the gradients of layer.0, layer.1, pooler, encoder are not finite",
    })
  })
})

describe("options", () => {
  test.each([
    [{ samples: 0 }, "samples"],
    [{ samples: 257 }, "samples"],
    [{ samples: 2.5 }, "samples"],
    [{ blocks: [] }, "blocks"],
    [{ blocks: ["layer.3"] }, "blocks"],
    [{ sample: 16 }, "sample"],
  ])("%p are refused", (options, named) => {
    expect(() => completed(fisher, options)).toThrow(named)
  })
})

describe("the estimate", () => {
  const base: RunEstimate = {
    steps: 468,
    warmupSteps: 47,
    batchSize: 16,
    tokensPerExample: 70,
    parameters: 109_483_778,
    layers: 12,
    hidden: 768,
    intermediate: 3072,
    heads: 12,
    vocabularySize: 30_522,
    positions: 512,
    keepsModel: false,
  }
  const estimate = (options: Readonly<Record<string, unknown>>, run = base) => {
    const estimate = fisher.estimate as unknown as (
      options: unknown,
      inputs: { readonly run: RunEstimate },
    ) => { readonly artifact: { readonly rows: number }; readonly cost: Cost }
    return estimate(completed(fisher, options), { run })
  }

  test("counts the rows", async () => {
    const options = { steps: { at: [0, 3] }, samples: 5, blocks: ["layers", "layers", "pooler"] }
    const rows = await rowsOf(options)
    expect(estimate(options, { ...base, layers: 2 }).artifact.rows).toBe(rows.length)
    expect(estimate({ blocks: ["classifier"] }).artifact.rows).toBe(1)
  })

  test("counts the arithmetic of each observation", () => {
    const one = estimate({}).cost.flops
    // 85 M parameters in layers: two passes over 1120 tokens, gradients of every token, products of 256 pairs.
    const products = 85e6 * (2 * 2 * 1120 + 2 * 1120 + 2 * 256)
    expect(one).toBeGreaterThan(0.8 * products)
    expect(one).toBeLessThan(1.2 * products)
    expect(estimate({ steps: { at: [0], every: "warmup" } }).cost.flops).toBeCloseTo(10 * one, -6)
    expect(estimate({ selfCheck: true }).cost.flops).toBeGreaterThan(5 * one)
    expect(estimate({ blocks: ["classifier"] }).cost.flops).toBeLessThan(one / 3)
  })

  test("stays within a few GB, however many samples there are", () => {
    const ofSamples = (samples: number) => estimate({ samples }).cost.memory
    expect(ofSamples(16)).toBeGreaterThan(12 * base.parameters)
    expect(ofSamples(128)).toBeLessThan(5e9)
    expect(ofSamples(256)).toBeLessThan(6e9)
  })
})
