import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { AnyPlugin } from "../../../../../core/api/plugin.ts"
import type { CheckpointTaken } from "../../../../../core/artifacts/checkpoint.ts"
import type { Row } from "../../../../../core/artifacts/observations.ts"
import { selectSequences } from "../../../../../core/artifacts/sequences.ts"
import { startBackend } from "../../../../../core/tensor/backend.ts"
import { permutation, stream } from "../../../../../core/tensor/stream.ts"
import { wasm } from "../../../../../plugins/backend/wasm.ts"
import { logitsOf } from "../../../../../plugins/finetune/shared/classifier.ts"
import { examplesOf, fineTuning, observer, writeCheckpoint } from "../../../../plugins/finetune/running.ts"
import { focal } from "../../../plugins/finetune/focal.ts"
import { rDrop } from "../../../plugins/finetune/r-drop.ts"

const root = mkdtempSync(join(tmpdir(), "objectives-"))
let checkpoint: CheckpointTaken
beforeAll(async () => {
  await Effect.runPromise(startBackend(wasm))
  checkpoint = await writeCheckpoint(join(root, "checkpoint"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const data = examplesOf(24)
const batch = permutation(stream(1, "order"), 24, 0).subarray(0, 4)
const labels = [...batch].map((n) => data.train.labels[n]!)
let runs = 0

/** A run, and the probabilities of the first batch before it, in passes with and without dropout. */
const trained = async (plugin: AnyPlugin, options: object) => {
  const rate = 0.2
  const passes = observer("passes", [0], (view) => {
    const sequences = selectSequences(view.train.sequences, batch)
    const logitsIn = (name?: string) => {
      const dropout = name && { rate, stream: stream(1, name), iteration: 0 }
      const logits_NC = logitsOf(view, sequences, dropout || undefined)
      const values = Float64Array.from(logits_NC.dataSync())
      logits_NC.dispose()
      return values
    }
    return { plain: logitsIn(), first: logitsIn("dropout"), second: logitsIn("dropout-1") }
  })
  const before = tf.memory().numTensors
  const { run, rows } = await Effect.runPromise(
    fineTuning({
      plugin,
      options: { dropout: rate, ...options },
      data,
      checkpoint,
      scratch: join(root, `${++runs}`),
      observers: [passes],
    }),
  )
  expect(tf.memory().numTensors).toBe(before)
  const row = (rows.get("passes") as readonly Row[])[0]!
  const probabilities = (pass: string) =>
    labels.map((_, n) => {
      const logits = [...(row[pass] as Float64Array).subarray(2 * n, 2 * n + 2)]
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0)
      return logits.map((logit) => Math.exp(logit) / total)
    })
  return { run, probabilities }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

test.each([0, 2, 0.5])("the focal loss with γ = %p, as in float64", async (gamma) => {
  const { run, probabilities } = await trained(focal, { dropout: 0, gamma })
  const p = probabilities("plain").map((of, n) => of[labels[n]!]!)
  expect(run.loss[0]).toBeCloseTo(mean(p.map((value) => -((1 - value) ** gamma) * Math.log(value))), 6)
})

test.each([0, 1, 3])(
  "R-Drop with α = %p: two passes with masks of their own, as in float64",
  async (consistency) => {
    const { run, probabilities } = await trained(rDrop, { consistency })
    const [p, q] = [probabilities("first"), probabilities("second")]
    expect(p).not.toEqual(q)
    const divergence = (a: readonly number[], b: readonly number[]) =>
      a.reduce((sum, value, c) => sum + value * Math.log(value / b[c]!), 0)
    const expected = labels.map((label, n) => {
      const entropy = -Math.log(p[n]![label]!) - Math.log(q[n]![label]!)
      return (entropy + (consistency / 2) * (divergence(p[n]!, q[n]!) + divergence(q[n]!, p[n]!))) / 2
    })
    expect(run.loss[0]).toBeCloseTo(mean(expected), 5)
  },
)

test.each([
  ["focal", focal],
  ["R-Drop", rDrop],
])("training with %s lowers the loss", async (_, plugin) => {
  const { run } = await trained(plugin, { lr: 5e-3, epochs: 6, dropout: 0 })
  const epoch = (n: number) => mean([...run.loss.subarray(6 * n, 6 * n + 6)])
  expect(epoch(5)).toBeLessThan(0.9 * epoch(0))
})
