import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import { startBackend } from "../../../core/tensor/backend.ts"
import { permutation, stream } from "../../../core/tensor/stream.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import { loadModel } from "../../../plugins/model/hugging-face.ts"
import { twoViews } from "../../../plugins/pretrain/shared/contrastive/views.ts"
import { templatePretrain } from "../../../plugins/template/pretrain.ts"
import { writeCheckpoint } from "../finetune/running.ts"
import { checkpointBy, corpusOf, trainingOf } from "../pretrain/running.ts"

const root = mkdtempSync(join(tmpdir(), "template-pretrain-"))
const corpus = corpusOf(40)
let checkpoint: CheckpointTaken
beforeAll(async () => {
  await Effect.runPromise(startBackend(cpu))
  checkpoint = await writeCheckpoint(join(root, "checkpoint"), { vocabularySize: corpus.vocabularySize })
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const trained = (name: string, options: object) =>
  Effect.runPromise(
    checkpointBy(templatePretrain, join(root, name), {
      options: { batchSize: 8, ...options },
      inputs: { corpus, checkpoint },
      scratch: join(root, `${name}-scratch`),
    }),
  )

/** The two views in the first update, as lists of rows. */
const firstViews = async (rate: number): Promise<readonly [number[][], number[][]]> => {
  const outputHeads = { pooler: { draw: stream(42, "head") } }
  const model = await Effect.runPromise(loadModel(checkpoint.folder, { outputHeads }))
  const chosen = permutation(stream(42, "order"), 40, 0).subarray(0, 8)
  const dropout = { rate, stream: stream(42, "dropout"), iteration: 0 }
  const views = tf.tidy(() => twoViews(model, corpus.sequences, chosen, dropout))
  const [first, second] = views.map((view) => view.arraySync())
  tf.dispose(views)
  model.parameters.dispose()
  return [first!, second!]
}

const distance = (x: readonly number[], y: readonly number[]) =>
  x.reduce((sum, value, i) => sum + (value / Math.hypot(...x) - y[i]! / Math.hypot(...y)) ** 2, 0)

test.each([0, 1, 2.5])("the loss is alignment and %p times uniformity, as in float64", async (uniformity) => {
  const { loss } = trainingOf(await trained(`loss-${uniformity}`, { steps: 1, dropout: 0.2, uniformity }))
  const [first, second] = await firstViews(0.2)
  const alignment = first.reduce((sum, x, i) => sum + distance(x, second[i]!), 0) / 8
  const spread = (views: readonly number[][]) => {
    const pairs = views.flatMap((x, i) => views.flatMap((y, j) => (i === j ? [] : [distance(x, y)])))
    return Math.log(pairs.reduce((sum, squared) => sum + Math.exp(-2 * squared), 0) / pairs.length)
  }
  expect(loss[0]).toBeCloseTo(alignment + (uniformity * (spread(first) + spread(second))) / 2, 4)
})

test("training lowers the loss, and the same seed gives the same bits", async () => {
  const options = { steps: 30, lr: 0.003, dropout: 0 }
  const first = await trained("first", options)
  const { loss } = trainingOf(first)
  expect(loss.at(-1)!).toBeLessThan(loss[0]! - 0.2)
  const weights = ({ folder }: CheckpointTaken) => readFileSync(join(folder, "model.safetensors"))
  expect(weights(await trained("second", options)).equals(weights(first))).toBe(true)
})
