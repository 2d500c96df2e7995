/** A probe cannot change the run that it watches: what it tries, the run's result is that of an unwatched run. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import { anyObservations, type Row } from "../../../core/artifacts/observations.ts"
import { startBackend } from "../../../core/tensor/backend.ts"
import { borrowKernel } from "../../../core/tensor/borrow.ts"
import type { Parameters } from "../../../core/tensor/parameters.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import { native } from "../../../plugins/backend/native.ts"
import { wasm } from "../../../plugins/backend/wasm.ts"
import type { ClassifierView } from "../../../plugins/model/view.ts"
import { nativeBuilds } from "../../core/tensor/every-definition.ts"
import { type Ended, fineTuning, observer, type Setting, type Watcher, writeCheckpoint } from "./running.ts"

const root = mkdtempSync(join(tmpdir(), "watched-"))
let checkpoint: CheckpointTaken
let scratches = 0
afterAll(() => rmSync(root, { recursive: true, force: true }))

const run = (setting: Partial<Setting> = {}): Promise<Ended> =>
  Effect.runPromise(fineTuning({ checkpoint, scratch: join(root, `scratch-${++scratches}`), ...setting }))

const pooler = "bert.pooler.dense.weight"

interface Attempt {
  readonly harm: (view: ClassifierView) => unknown
  /** What its failure says; undefined where the backend shares no memory, so that the attempt does nothing. */
  readonly failure: string | undefined
}

const attemptsOn = (backend: string): Readonly<Record<string, Attempt>> => ({
  "sets a parameter": {
    harm: ({ parameters }) => (parameters as Parameters).set(pooler, tf.zeros([8, 8])),
    failure: "set is not a function",
  },
  "disposes of all parameters": {
    harm: ({ parameters }) => (parameters as Parameters).dispose(),
    failure: "dispose is not a function",
  },
  "disposes of a parameter's tensor": {
    harm: ({ parameters }) => parameters.get(pooler).dispose(),
    failure: `it disposed of the parameter ${pooler}: a probe disposes only of the tensors that it made`,
  },
  "writes into the array of dataSync": {
    harm: ({ parameters }) => (parameters.get(pooler).dataSync()[0] = 7),
    failure:
      backend === "cpu"
        ? `it changed the parameter ${pooler}: a probe only reads, so it writes into copies`
        : undefined,
  },
  "writes into a borrowed array": {
    harm: async ({ parameters }) => ((await borrowKernel(parameters.get(pooler)))[0] = 7),
    failure: `it changed the parameter ${pooler}`,
  },
  "writes into the train split": {
    harm: ({ train }) => train.labels.fill(1),
    failure: "it changed the labels of the train split",
  },
  "changes the config": {
    harm: ({ config }) => Object.assign(config, { layers: 1, layerNormEpsilon: 1 }),
    failure: undefined,
  },
  "computes on another backend": {
    harm: async ({ logits, dev }) => {
      await tf.setBackend("cpu")
      tf.tidy(() => logits(dev.sequences).dataSync())
    },
    failure: undefined,
  },
  "leaves tensors behind": {
    harm: ({ logits, dev }) => [logits(dev.sequences), tf.scalar(1)],
    failure: "it left 2 tensors behind: use tf.tidy",
  },
  "leaves a tensor behind and throws": {
    harm: () => {
      tf.scalar(1)
      throw new Error("I give up")
    },
    failure: "Error: I give up",
  },
})

for (const backend of [cpu, wasm, native]) {
  describe.skipIf(backend === native && !nativeBuilds)(`a probe on ${backend.name}`, () => {
    let alone: Ended
    let expected: Ended
    let before: number
    beforeAll(async () => {
      await Effect.runPromise(startBackend(backend))
      checkpoint = await writeCheckpoint(join(root, backend.name))
      alone = await run()
      expected = await run({ observers: [norms] })
    })
    beforeEach(() => {
      before = tf.memory().numTensors
    })
    afterEach(() => expect(tf.memory().numTensors).toBe(before))

    const norms = observer("norms", [0, 7, 9], ({ step, parameters }) => ({
      step,
      norm: tf.tidy(() => tf.norm(parameters.get(pooler)).dataSync()[0]!),
    }))
    const vandal = (harm: Attempt["harm"], at: number | "end"): Watcher => {
      const observe = (view: ClassifierView) =>
        Effect.gen(function* () {
          if (at === "end" || view.step === at) yield* Effect.promise(async () => harm(view))
          return [{ step: view.step }] satisfies Row[]
        })
      const finish = at === "end" && { finish: observe }
      const probe = { steps: () => (at === "end" ? [] : [0, at]), observe, ...finish }
      return { key: "vandal", gives: anyObservations, options: {}, probe }
    }

    for (const at of [0, 7, "end"] as const) {
      test.each(Object.entries(attemptsOn(backend.name)))(`at ${at}: %s`, async (_, { harm, failure }) => {
        const watched = await run({ observers: [vandal(harm, at), norms] })
        expect(watched.run).toEqual(alone.run)
        // Another probe sees the model as if the offender had not been there.
        expect(watched.rows.get("norms")).toEqual(expected.rows.get("norms")!)
        const rows = watched.rows.get("vandal")!
        if (failure === undefined) expect(rows).toBeArray()
        else {
          expect(rows).toMatchObject({ outcome: "failed", step: at === "end" ? 18 : at })
          expect(String(rows)).toContain(failure)
        }
      })
    }
  })
}
