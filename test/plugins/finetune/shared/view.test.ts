import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { CheckpointTaken } from "../../../../core/artifacts/checkpoint.ts"
import { selectExamples } from "../../../../core/artifacts/examples.ts"
import type { Row } from "../../../../core/artifacts/observations.ts"
import { disposeGradients, type Parameters } from "../../../../core/tensor/parameters.ts"
import { permutation, stream } from "../../../../core/tensor/stream.ts"
import { classify, clsIndices } from "../../../../plugins/model/output-heads.ts"
import type { ClassifierView } from "../../../../plugins/model/view.ts"
import { onCpu } from "../../model/tiny-model.ts"
import { examplesOf, fineTuning, observer, writeCheckpoint } from "../running.ts"

const root = mkdtempSync(join(tmpdir(), "view-"))
let checkpoint: CheckpointTaken
let before: number
let scratches = 0
beforeAll(async () => {
  await onCpu()
  checkpoint = await writeCheckpoint(join(root, "checkpoint"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))
beforeEach(() => {
  before = tf.memory().numTensors
})
afterEach(() => expect(tf.memory().numTensors).toBe(before))

/** A run without dropout, and the row that `observe` gives at a step. */
const seen = async (step: number, observe: (view: ClassifierView) => Row) => {
  const scratch = join(root, `scratch-${++scratches}`)
  const options = { dropout: 0 }
  const observers = [observer("seen", [step], observe)]
  const { run, rows } = await Effect.runPromise(fineTuning({ checkpoint, scratch, options, observers }))
  const found = rows.get("seen")
  if (!Array.isArray(found)) throw new Error(String(found))
  return { run, row: found[0] as Record<string, unknown> }
}

test("the loss and the gradients are those of the run's own updates", async () => {
  for (const step of [0, 7]) {
    const { run, row } = await seen(step, ({ train, lossOf, gradients, parameters, loss, learningRate }) => {
      // The batch of the next update: 21 examples make 6 batches of at most 4.
      const order = permutation(stream(1, "order"), 21, Math.floor(step / 6))
      const batch = selectExamples(train, order.subarray((step % 6) * 4, (step % 6) * 4 + 4))
      const found = gradients({ examples: batch, per: "batch" })
      const norms = tf.tidy(() => [...found.values()].map((gradient) => tf.norm(gradient).dataSync()[0]!))
      const names = [...found.keys()].join(" ") === parameters.names.join(" ")
      disposeGradients(found)
      return {
        loss,
        learningRate,
        next: tf.tidy(() => lossOf(batch).dataSync()[0]!),
        norm: Math.hypot(...norms),
        names,
      }
    })
    expect(row).toMatchObject({
      loss: step === 0 ? null : run.loss[step - 1],
      learningRate: step === 0 ? null : run.learningRate[step - 1],
      next: run.loss[step],
      names: true,
    })
    expect(row["norm"]).toBeCloseTo(run.gradientNorm[step]!, 5)
  }
})

test("the hidden states of the last depth lead to the logits, and attention sums to one", async () => {
  await seen(7, ({ dev, config, hidden, attention, logits, parameters }) => {
    tf.tidy(() => {
      const last = hidden(dev.sequences, config.layers)
      expect(last.shape).toEqual([dev.sequences.ids.length, config.hidden])
      const cls = tf.gather(last, tf.tensor1d(clsIndices(dev.sequences.offsets), "int32"))
      const expected = classify({ config, parameters }, cls as tf.Tensor2D).dataSync()
      for (const [i, value] of logits(dev.sequences).dataSync().entries())
        expect(value).toBeCloseTo(expected[i]!, 5)
      for (const probabilities of attention(dev.sequences, 1)) {
        for (const sum of tf.sum(probabilities, 2).dataSync()) expect(sum).toBeCloseTo(1, 5)
      }
    })
    return {}
  })
})

test("both splits and the names of all blocks are there", async () => {
  const data = examplesOf(21)
  await seen(0, (view) => {
    expect(view.train).toEqual(data.train)
    expect(view.dev).toEqual(data.dev)
    expect([...view.blocks.keys()]).toEqual(["embeddings", "layer.0", "layer.1", "pooler", "classifier"])
    expect([...view.blocks.values()].flat()).toEqual([...view.parameters.names])
    return {}
  })
})

test("the parameters can be read and copied, not set or disposed of", async () => {
  const name = "classifier.bias"
  await seen(3, ({ parameters }) => {
    for (const method of ["set", "dispose", "zeros"]) expect(parameters).not.toHaveProperty(method)
    expect(() => Object.assign(parameters, { get: () => tf.scalar(1) })).toThrow()
    expect(() => (parameters.names as string[]).pop()).toThrow()
    const copy: Parameters = parameters.clone()
    copy.set(name, tf.zeros([2]))
    expect([...parameters.get(name).dataSync()]).not.toEqual([0, 0])
    expect(parameters.has(name) && !parameters.has("absent")).toBe(true)
    expect(parameters.size).toBe(copy.size)
    expect([...parameters.toHost().keys()]).toEqual([...parameters.names])
    expect(() => parameters.get("absent")).toThrow("there is no parameter absent")
    copy.dispose()
    return {}
  })
})
