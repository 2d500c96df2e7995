import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import { templateProbe } from "../../../plugins/template/probe.ts"
import { completed, fineTuning, observer, writeCheckpoint } from "../finetune/running.ts"
import { onCpu } from "../model/tiny-model.ts"

const root = mkdtempSync(join(tmpdir(), "template-probe-"))
let checkpoint: CheckpointTaken

beforeAll(async () => {
  await onCpu()
  checkpoint = await writeCheckpoint(join(root, "checkpoint"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** The probe's rows of a run of 6 steps, and the norms of the same layers computed by tfjs. */
const watched = async (scratch: string, at: readonly number[]) => {
  const options = completed(templateProbe, { steps: { at } })
  const probe = {
    key: "seen",
    options,
    probe: templateProbe.probe!,
    gives: templateProbe.gives,
  }
  const norms = observer("norms", at, ({ step, blocks, parameters }) => {
    const layers = ["layer.0", "layer.1"].map((block) =>
      tf.tidy(() => {
        const flat = blocks.get(block)!.map((name) => parameters.get(name).flatten())
        return tf.norm(tf.concat(flat)).dataSync()[0]!
      }),
    )
    return { step, norms: Float64Array.from(layers) }
  })
  const { rows } = await Effect.runPromise(
    fineTuning({
      checkpoint,
      scratch: join(root, scratch),
      options: { epochs: 1 },
      observers: [probe, norms],
    }),
  )
  return { seen: rows.get("seen"), norms: rows.get("norms") }
}

test("gives the norm of each layer at each step, and leaks no tensor", async () => {
  const before = tf.memory().numTensors
  const { seen, norms } = await watched("run", [0, 3])
  if (!Array.isArray(seen) || !Array.isArray(norms)) throw new Error(String(seen))
  expect(seen.map(({ step, layer }) => [step, layer])).toEqual([
    [0, 0],
    [0, 1],
    [3, 0],
    [3, 1],
  ])
  const expected = norms.flatMap((row) => [...(row["norms"] as Float64Array)])
  for (const [i, { norm }] of seen.entries()) expect(norm).toBeCloseTo(expected[i]!, 4)
  expect(seen[2]!["norm"]).not.toBe(seen[0]!["norm"])
  expect(tf.memory().numTensors).toBe(before)
})

test("a step beyond the end of the run is refused", async () => {
  const { seen } = await watched("beyond", [7])
  expect(String(seen)).toContain("must be from 0 to 6, the end of the run (was 7)")
})
