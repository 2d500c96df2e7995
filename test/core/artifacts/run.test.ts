import { describe, expect, test } from "bun:test"
import { mkdir } from "node:fs/promises"
import { Effect } from "effect"
import { isFailure, Run, scoreOf } from "../../../core/artifacts/run.ts"
import { artifactFolder } from "./artifact-folder.ts"

/** RTE's dev split: 146 entailment (0) and 131 not. */
const labels = Float64Array.from({ length: 277 }, (_, i) => (i < 146 ? 0 : 1))

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
  metrics: ["accuracy"],
  baseline: 0,
})

describe("on RTE's dev split", () => {
  test.each([
    [0, true],
    [145, true],
    [146, true],
    [147, false],
    [277, false],
  ])("a run with %p of 277 correct has failed: %p", (right, failed) => {
    expect(scoreOf(runWith(right))[0]!.value).toEqual({ numerator: right, denominator: 277 })
    expect(isFailure(scoreOf(runWith(right)))).toBe(failed)
  })

  test("the majority baseline, which always predicts the train split's majority label, fails", () => {
    const baseline = { ...runWith(0), predictions: new Float64Array(277) }
    const correct = { numerator: 146, denominator: 277 }
    expect(scoreOf(baseline)).toEqual([{ metric: "accuracy", value: correct, baseline: correct }])
    expect(isFailure(scoreOf(baseline))).toBe(true)
    // 0.53 as a threshold would let 147 of 277 fail, and 0.527 would let 146 pass.
    expect(147 / 277).toBeGreaterThan(0.53)
    expect(146 / 277).toBeGreaterThan(0.527)
  })

  test("the majority label is the train split's, even if it is the minority of the dev split", () => {
    const run = { ...runWith(140), baseline: 1 }
    expect(scoreOf(run)[0]!.baseline.numerator).toBe(131)
    expect(isFailure(scoreOf(run))).toBe(false)
  })
})

describe("on disk", () => {
  const { path, write, read, refusal, edit } = artifactFolder()

  test("a run is read as it was written", async () => {
    await write(Run, runWith(150))
    expect(await read(Run)).toEqual({ ...runWith(150), modelFolder: null })
  })

  test("a run whose model was saved has the model's folder", async () => {
    const saveModel = (target: string) => Effect.promise(() => mkdir(target).then(() => undefined))
    await write(Run, { ...runWith(150), saveModel })
    expect((await read(Run)).modelFolder).toBe(path("model"))
  })

  test("a run whose arrays do not fit its steps is refused", async () => {
    await write(Run, runWith(150))
    edit("run.json", (json) => {
      json.steps = 3
    })
    expect(await refusal(Run)).toContain("expected 3 losses")
  })

  test.each(["loss", "learningRate", "gradientNorm", "predictions"] as const)(
    "a run is refused if %s has the wrong length",
    async (name) => {
      await write(Run, { ...runWith(150), [name]: runWith(150)[name].slice(1) })
      expect(await refusal(Run)).toMatch(
        /^cannot read F\/run\.json: expected 2 losses, learning rates .*, found \d, \d, \d; expected 277 predictions, found 27[67]$/,
      )
    },
  )
})
