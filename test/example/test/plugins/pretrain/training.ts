import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { AnyPlugin } from "../../../../../core/api/plugin.ts"
import { startBackend } from "../../../../../core/tensor/backend.ts"
import { normal, permutation, stream } from "../../../../../core/tensor/stream.ts"
import { wasm } from "../../../../../plugins/backend/wasm.ts"
import { loadModel } from "../../../../../plugins/model/hugging-face.ts"
import { twoViews } from "../../../../../plugins/pretrain/shared/contrastive/views.ts"
import { writeCheckpoint } from "../../../../plugins/finetune/running.ts"
import { checkpointBy, corpusOf, trainingOf } from "../../../../plugins/pretrain/running.ts"

const corpus = corpusOf(40)
const batchSize = 8
const seed = 42
export const hidden = 8

/** Trains from the same tiny checkpoint; returns the losses and the checkpoint's names of tensors. */
export const trained = async (plugin: AnyPlugin, options: object): Promise<readonly number[]> => {
  const folder = mkdtempSync(join(tmpdir(), "example-"))
  try {
    await Effect.runPromise(startBackend(wasm))
    const checkpoint = await writeCheckpoint(join(folder, "checkpoint"), {
      vocabularySize: corpus.vocabularySize,
    })
    const before = tf.memory().numTensors
    const made = await Effect.runPromise(
      checkpointBy(plugin, join(folder, "made"), {
        options: { batchSize, seed, ...options },
        inputs: { corpus, checkpoint },
        scratch: join(folder, "scratch"),
      }),
    )
    if (tf.memory().numTensors !== before) throw new Error("tensors are left over")
    // The checkpoint has no parameter of the loss's own: it opens as an encoder with a pooler.
    const model = await Effect.runPromise(loadModel(made.folder, { outputHeads: { pooler: "read" } }))
    model.parameters.dispose()
    return trainingOf(made).loss
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The two views of the first update under this dropout, as rows. */
export const firstViews = async (rate: number): Promise<readonly [first: number[][], second: number[][]]> => {
  const folder = mkdtempSync(join(tmpdir(), "example-"))
  try {
    await Effect.runPromise(startBackend(wasm))
    await writeCheckpoint(folder, { vocabularySize: corpus.vocabularySize })
    const outputHeads = { pooler: { draw: stream(seed, "head") } }
    const model = await Effect.runPromise(loadModel(folder, { outputHeads }))
    const chosen = permutation(stream(seed, "order"), 40, 0).subarray(0, batchSize)
    const dropout = { rate, stream: stream(seed, "dropout"), iteration: 0 }
    const views = tf.tidy(() => twoViews(model, corpus.sequences, chosen, dropout))
    const [first, second] = views.map((view) => view.arraySync())
    tf.dispose(views)
    model.parameters.dispose()
    return [first!, second!]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Rows times the transposed matrix that a loss draws first, [features, hidden] from N(0, 1 / hidden). */
export const projected = (rows: readonly number[][], features: number): number[][] => {
  const draw = { stream: stream(seed, "loss"), site: 0, iteration: 0 }
  const matrix = normal(draw, features * hidden, 1 / Math.sqrt(hidden))
  return rows.map((row) =>
    Array.from({ length: features }, (_, p) =>
      row.reduce((sum, x, h) => sum + x * matrix[p * hidden + h]!, 0),
    ),
  )
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length
export const column = (rows: readonly number[][], p: number): number[] => rows.map((row) => row[p]!)
