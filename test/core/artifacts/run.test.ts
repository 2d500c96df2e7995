import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { isFailure, Run, scoreOf } from "../../../core/artifacts/run.ts"

const root = mkdtempSync(join(tmpdir(), "run-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** RTE's dev split: 146 entailment (0) and 131 not. */
const labels = Int32Array.from({ length: 277 }, (_, i) => (i < 146 ? 0 : 1))

/** A run that classifies the first `right` examples correctly and the others wrongly. */
const runWith = (right: number): Run => ({
  seed: 1,
  steps: 2,
  warmupSteps: 1,
  loss: Float64Array.of(0.7, 0.6),
  learningRate: Float64Array.of(0, 1e-5),
  gradientNorm: Float64Array.of(2, 1.5),
  predictions: labels.map((label, i) => (i < right ? label : 1 - label)),
  labels,
  majorityLabel: 0,
})

describe("on RTE's dev split", () => {
  test.each([
    [0, true],
    [145, true],
    [146, true],
    [147, false],
    [277, false],
  ])("a run with %p of 277 correct has failed: %p", (right, failed) => {
    expect(scoreOf(runWith(right)).correct).toBe(right)
    expect(isFailure(scoreOf(runWith(right)))).toBe(failed)
  })

  test("the majority baseline, which always predicts the train split's majority label, fails", () => {
    const baseline = { ...runWith(0), predictions: new Int32Array(277) }
    expect(scoreOf(baseline).correct).toBe(146)
    expect(scoreOf(baseline).majority).toBe(146)
    expect(isFailure(scoreOf(baseline))).toBe(true)
    // 0.53 as a threshold would let 147 of 277 fail, and 0.527 would let 146 pass.
    expect(147 / 277).toBeGreaterThan(0.53)
    expect(146 / 277).toBeGreaterThan(0.527)
  })

  test("the majority label is the train split's, even if it is the minority of the dev split", () => {
    const run = { ...runWith(140), majorityLabel: 1 }
    expect(scoreOf(run).majority).toBe(131)
    expect(isFailure(scoreOf(run))).toBe(false)
  })
})

describe("on disk", () => {
  const written = async (name: string, change?: (folder: string) => Promise<void>) => {
    const folder = join(root, name)
    await mkdir(folder)
    await Effect.runPromise(Run.write(folder, runWith(150)))
    await change?.(folder)
    return folder
  }

  test("a run is read as it was written", async () => {
    const folder = await written("same")
    expect(await Effect.runPromise(Run.read(folder))).toEqual({ ...runWith(150), modelFolder: null })
  })

  test("a run whose model was saved has the model's folder", async () => {
    const folder = join(root, "kept")
    await mkdir(folder)
    const saveModel = (target: string) => Effect.promise(() => mkdir(target).then(() => undefined))
    await Effect.runPromise(Run.write(folder, { ...runWith(150), saveModel }))
    const { modelFolder } = await Effect.runPromise(Run.read(folder))
    expect(modelFolder).toBe(join(folder, "model"))
  })

  test("a run whose arrays do not fit its steps is refused", async () => {
    const folder = await written("changed", async (path) => {
      const json = await Bun.file(join(path, "run.json")).json()
      await writeFile(join(path, "run.json"), JSON.stringify({ ...json, steps: 3 }))
    })
    const error = await Effect.runPromise(Effect.flip(Run.read(folder)))
    expect(error.message).toContain("expected 3 losses")
  })
})
