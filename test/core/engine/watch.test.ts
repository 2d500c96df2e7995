import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import type { Observed } from "../../../core/api/plugin.ts"
import type { Guard } from "../../../core/api/watch.ts"
import { observationsOf } from "../../../core/artifacts/observations.ts"
import { watching } from "../../../core/engine/watch.ts"

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-watch-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

let observers = 0

/** An observer of steps 0 and 1 whose rows have a step and a norm. */
const observing = (observe: (step: number) => unknown) => ({
  key: "norm",
  gives: observationsOf(type({ "+": "reject", step: "number", norm: "number | null" })),
  options: {},
  inputs: {},
  scratch: join(root, String(++observers)),
  probe: { steps: () => [0, 1], observe: observe as unknown as (view: never) => Observed },
})

/** The guard of a run in which there is nothing to change. */
const nothing: Guard = {
  digests: Effect.succeed(new Map()),
  enclose: (observation) => Effect.map(Effect.exit(observation), (ended) => ({ ended, left: 0 })),
}

/** What the observer of a run of one step gave. */
const observed = async (observe: (step: number) => unknown, started = true) => {
  const { watch, observations } = watching(true, [observing(observe)])
  const all = Effect.gen(function* () {
    if (started) yield* watch.start({ steps: 1, warmupSteps: 0 }, nothing)
    for (const step of [0, 1]) yield* watch.at(step, step)
    yield* watch.end(1)
    return (yield* observations(undefined)).get("norm")!
  })
  const result = await Effect.runPromise(all)
  return result._tag === "Success" ? result.success : result.failure
}

test("an observer's rows are those of its steps, in their order", async () => {
  expect(await observed((step) => [{ step, norm: step === 0 ? null : 2.5 }])).toEqual([
    { step: 0, norm: null },
    { step: 1, norm: 2.5 },
  ])
})

describe("rows that could not be read again are refused at their step", () => {
  test.each([
    ["NaN", { norm: Number.NaN }, "norm must be finite (was NaN)"],
    ["Infinity", { norm: Number.POSITIVE_INFINITY }, "norm must be finite (was Infinity)"],
    ["a wrong type", { norm: "2" }, "norm must be a number or null (was a string)"],
    ["a missing column", {}, "norm must be a number or null (was missing)"],
    ["an unknown column", { norm: 1, layer: 0 }, "layer must be removed"],
  ])("%s", async (_, cells, problem) => {
    const seen: number[] = []
    const failure = await observed((step) => {
      seen.push(step)
      return [
        { step, norm: 1 },
        { step, ...cells },
      ]
    })
    expect(failure).toMatchObject({
      _tag: "UnitFailure",
      outcome: "failed",
      step: 0,
      reason: `row 2 of the observations: ${problem}`,
    })
    // It observes no more.
    expect(seen).toEqual([0])
  })

  test("anything but a list of rows", async () => {
    expect(await observed(() => undefined)).toMatchObject({
      _tag: "UnitFailure",
      reason: "expected a list of rows, found undefined",
    })
  })
})

test("a plugin that never starts its observers cannot be watched", async () => {
  expect(await observed((step) => [{ step, norm: 1 }], false)).toMatchObject({
    _tag: "UnitFailure",
    reason: "expected a run that can be watched, found a plugin that never starts its observers",
  })
})
