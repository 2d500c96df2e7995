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

const cosine = (x: readonly number[], y: readonly number[]) =>
  x.reduce((sum, value, i) => sum + value * y[i]!, 0) / (Math.hypot(...x) * Math.hypot(...y))

test.each([0, 0.5, 1])("the loss counts the second direction by %p, as in float64", async (backward) => {
  const options = { steps: 1, dropout: 0.2, temperature: 0.1, backward }
  const { loss } = trainingOf(await trained(`loss-${backward}`, options))
  const [first, second] = await firstViews(0.2)
  const oneWay = (from: readonly number[][], to: readonly number[][]) =>
    from.reduce((sum, x, i) => {
      const total = to.reduce((all, y) => all + Math.exp(cosine(x, y) / 0.1), 0)
      return sum + Math.log(total) - cosine(x, to[i]!) / 0.1
    }, 0) / from.length
  const expected = (1 - backward) * oneWay(first, second) + backward * oneWay(second, first)
  expect(loss[0]).toBeCloseTo(expected, 4)
})

test("training lowers the loss, and the same seed gives the same bits", async () => {
  const options = { steps: 30, lr: 0.003, dropout: 0.1 }
  const first = await trained("first", options)
  const { loss } = trainingOf(first)
  expect(loss.at(-1)!).toBeLessThan(loss[0]! - 0.2)
  const weights = ({ folder }: CheckpointTaken) => readFileSync(join(folder, "model.safetensors"))
  expect(weights(await trained("second", options)).equals(weights(first))).toBe(true)
})
