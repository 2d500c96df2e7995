import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import type { CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import type { Row } from "../../../core/artifacts/observations.ts"
import { startBackend } from "../../../core/tensor/backend.ts"
import { permutation, stream } from "../../../core/tensor/stream.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import { templateFinetune } from "../../../plugins/template/finetune.ts"
import { examplesOf, fineTuning, observer, writeCheckpoint } from "../finetune/running.ts"

const root = mkdtempSync(join(tmpdir(), "template-finetune-"))
let checkpoint: CheckpointTaken
beforeAll(async () => {
  await Effect.runPromise(startBackend(cpu))
  checkpoint = await writeCheckpoint(join(root, "checkpoint"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const data = examplesOf(12)
const trained = (name: string, options: object) => {
  /** All logits of the train split at step 0. */
  const logits = observer("logits", [0], (view) => {
    const logits_NC = view.logits(view.train.sequences)
    const values = Float64Array.from(logits_NC.dataSync())
    logits_NC.dispose()
    return { values }
  })
  return Effect.runPromise(
    fineTuning({
      plugin: templateFinetune,
      options: { dropout: 0, epochs: 1, ...options },
      data,
      checkpoint,
      scratch: join(root, name),
      observers: [logits],
    }),
  )
}

test.each([0, 0.1, 0.5])("the loss is the cross-entropy with labels smoothed by %p", async (smoothing) => {
  const { run, rows } = await trained(`loss-${smoothing}`, { smoothing })
  const values = (rows.get("logits") as readonly Row[])[0]!["values"] as Float64Array
  const losses = [...permutation(stream(1, "order"), 12, 0).subarray(0, 4)].map((n) => {
    const logits = [values[2 * n]!, values[2 * n + 1]!]
    const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0))
    return logits.reduce((sum, logit, label) => {
      const target = smoothing / 2 + (label === data.train.labels[n] ? 1 - smoothing : 0)
      return sum - target * (logit - total)
    }, 0)
  })
  expect(run.loss[0]).toBeCloseTo(losses.reduce((a, b) => a + b, 0) / 4, 6)
})

test("training lowers the loss, and the same seed gives the same bits", async () => {
  const options = { lr: 5e-3, epochs: 8 }
  const { run } = await trained("first", options)
  expect(run.loss.at(-1)!).toBeLessThan(run.loss[0]! - 0.1)
  expect((await trained("second", options)).run).toEqual(run)
})
