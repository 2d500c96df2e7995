import { expect, test } from "bun:test"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { Checkpoint, type CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import { selectSequences } from "../../../core/artifacts/sequences.ts"
import { permutation, stream } from "../../../core/tensor/stream.ts"
import { saveModel } from "../../../plugins/model/hugging-face.ts"
import { distilbert } from "../../../plugins/model/layouts/distilbert.ts"
import { type PoolerSaturationRow, poolerSaturation } from "../../../plugins/probe/pooler-saturation.ts"
import { observer, type Setting, withCheckpoint, writeCheckpoint } from "../finetune/running.ts"
import { tinyModel } from "../model/tiny-model.ts"
import { dot, mean, rowsIn } from "./vectors.ts"
import { rowsOf, watched } from "./watched.ts"

const { root, checkpoint, freshScratch } = await withCheckpoint("pooler-saturation")

const asking = (options: Readonly<Record<string, unknown>>, setting: Partial<Setting> = {}) =>
  rowsOf<PoolerSaturationRow>(
    poolerSaturation,
    { options },
    { checkpoint, scratch: freshScratch(), ...setting },
  )

/** A checkpoint whose pooler's parameters are multiplied by a factor. */
const scaled = async (factor: number): Promise<CheckpointTaken> => {
  const model = tinyModel()
  for (const name of ["weight", "bias"]) {
    const parameter = model.parameters.get(`bert.pooler.dense.${name}`)
    model.parameters.set(`bert.pooler.dense.${name}`, tf.mul(parameter, factor))
  }
  const folder = join(root, `scaled-${factor}`)
  await Effect.runPromise(saveModel(folder, model, "BertModel"))
  model.parameters.dispose()
  return Effect.runPromise(Checkpoint.read(folder))
}

test("saturation and slope are those of tanh of the pooler's inputs, in float64", async () => {
  const samples = 9
  const expected: number[][] = []
  const steps = [0, 18]
  const states = observer("states", steps, ({ step, train, hidden, parameters }) => {
    const batch = selectSequences(
      train.sequences,
      permutation(stream(1, "probe"), 21, 0).subarray(0, samples),
    )
    const tokens = rowsIn(
      tf.tidy(() => hidden(batch, 2).dataSync()),
      8,
    )
    const weight = rowsIn(parameters.get("bert.pooler.dense.weight").dataSync(), 8)
    const bias = parameters.get("bert.pooler.dense.bias").dataSync()
    const activations = [...batch.offsets.subarray(0, -1)].flatMap((at) =>
      weight.map((row, o) => Math.tanh(dot(row, tokens[at]!) + bias[o]!)),
    )
    expected.push([
      activations.filter((a) => Math.abs(a) > 0.99).length / activations.length,
      mean(activations.map((a) => 1 - a ** 2)),
    ])
    return { step }
  })
  const rows = await asking(
    { samples, steps: { at: steps } },
    { checkpoint: await scaled(2), observers: [states], options: { lr: 5e-3 } },
  )
  expect(rows).toHaveLength(2)
  for (const [i, { step, saturation, slope }] of rows.entries()) {
    expect(step).toBe(steps[i]!)
    expect(saturation).toBeCloseTo(expected[i]![0]!, 9)
    expect(slope).toBeCloseTo(expected[i]![1]!, 5)
  }
  expect(rows[0]!.saturation).toBeGreaterThan(0.1)
  expect(rows[0]!.saturation).toBeLessThan(0.9)
})

test("a pooler of large weights is saturated, one of small weights is linear", async () => {
  const of = async (factor: number) =>
    (await asking({ samples: 9 }, { checkpoint: await scaled(factor) }))[0]!
  const large = await of(1e6)
  expect(large.saturation).toBe(1)
  expect(large.slope).toBeLessThan(1e-9)
  const small = await of(1e-4)
  expect(small.saturation).toBe(0)
  expect(small.slope).toBeGreaterThan(0.999)
})

test("a classifier that stands on another activation has none", async () => {
  const other = await writeCheckpoint(join(root, "distilbert"), { layout: distilbert, tokenTypes: 1 })
  const setting = { checkpoint: other, scratch: freshScratch() }
  expect(await watched(poolerSaturation, { options: { samples: 9 } }, setting)).toMatchObject({
    outcome: "failed",
    message: "step 0: expected a classifier that stands on a tanh; that of DistilBERT stands on relu",
  })
})
