import { afterAll, afterEach, beforeEach, expect } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect } from "effect"
import type { AnyPlugin, PluginError } from "../../../core/api/plugin.ts"
import { Progress } from "../../../core/api/progress.ts"
import { Checkpoint, type CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import type { Examples, Split } from "../../../core/artifacts/examples.ts"
import { anyObservations, type Row } from "../../../core/artifacts/observations.ts"
import type { RunGiven } from "../../../core/artifacts/run.ts"
import { packSequences } from "../../../core/artifacts/sequences.ts"
import { type Observer, watching } from "../../../core/engine/watch.ts"
import { remove } from "../../../core/io/files.ts"
import { startBackend } from "../../../core/tensor/backend.ts"
import type { HostTensor } from "../../../core/tensor/parameters.ts"
import { integers, stream } from "../../../core/tensor/stream.ts"
import { wasm } from "../../../plugins/backend/wasm.ts"
import { classification } from "../../../plugins/finetune/classification.ts"
import type { Architecture, EncoderConfig } from "../../../plugins/model/config.ts"
import { saveModel } from "../../../plugins/model/hugging-face.ts"
import type { ClassifierView } from "../../../plugins/model/view.ts"
import { tinyConfig, tinyModel } from "../model/tiny-model.ts"

export const special = { pad: 0, unknown: 1, cls: 2, separator: 3, mask: 4 }

/** Sequences of several lengths, in two segments; the label is whether the last word is 5 or 6. */
const splitOf = (count: number, seed: number): Split => {
  const draw = (site: number, bound: number) =>
    integers({ stream: stream(seed, "test"), site, iteration: 0 }, count, bound)
  const labels = draw(0, 2)
  const lengths = draw(1, 4)
  const words = draw(2, 12)
  const sequences = Array.from(labels, (label, n) => {
    const length = 1 + lengths[n]!
    const text = Array.from({ length }, (_, i) => 7 + ((words[n]! + 5 * i) % 12))
    const ids = [special.cls, ...text, special.separator, 5 + label, special.separator]
    return { ids, tokenTypeIds: ids.map((_, i) => (i > length + 1 ? 1 : 0)) }
  })
  return { sequences: packSequences(sequences), labels: Float64Array.from(labels) }
}

export const examplesOf = (train: number, dev = 12): Examples => ({
  labelNames: ["entailment", "not_entailment"],
  metrics: ["accuracy"],
  train: splitOf(train, 1),
  dev: splitOf(dev, 2),
  special,
  vocabularySize: tinyConfig.vocabularySize,
})

/** A tiny random model in a folder. Its weights do not depend on the architecture or the dropout rates. */
export const writeCheckpoint = async (
  folder: string,
  config: Partial<EncoderConfig> = {},
  architecture: Architecture = "BertModel",
): Promise<CheckpointTaken> => {
  const model = tinyModel({ ...tinyConfig, ...config })
  await Effect.runPromise(saveModel(folder, model, architecture))
  model.parameters.dispose()
  return Effect.runPromise(Checkpoint.read(folder))
}

/**
 * What a file of tests of runs needs, on the backend wasm: a folder, in it a tiny checkpoint, a new folder for each run,
 * and runs with their parameters. After its last test the folder is removed; after each test, no tensor may be left over.
 */
export const withCheckpoint = async (name: string) => {
  const root = mkdtempSync(join(tmpdir(), `${name}-`))
  afterAll(() => rmSync(root, { recursive: true, force: true }))
  await Effect.runPromise(startBackend(wasm))
  const checkpoint = await writeCheckpoint(join(root, "checkpoint"))
  let before: number
  /** How many tensors there are more than before the test. */
  const leftOver = () => tf.memory().numTensors - before
  beforeEach(() => {
    before = tf.memory().numTensors
  })
  afterEach(() => expect(leftOver()).toBe(0))
  let scratches = 0
  const freshScratch = () => join(root, `scratch-${++scratches}`)
  /** A run, and its parameters at these steps. */
  const trained = async (options: object, steps: readonly number[], setting: Partial<Setting> = {}) => {
    const values = new Map<number, ReadonlyMap<string, HostTensor>>()
    const parameters = observer("parameters", steps, (view) => {
      values.set(view.step, view.parameters.toHost())
      return { step: view.step }
    })
    const { run } = await Effect.runPromise(
      fineTuning({
        checkpoint,
        scratch: freshScratch(),
        observers: [parameters],
        ...setting,
        options: { ...options },
      }),
    )
    return { run, values }
  }
  return { root, checkpoint, freshScratch, leftOver, trained }
}

/** An observer without its folder, usually of a probe that takes nothing but the run. */
export type Watcher = Omit<Observer, "scratch" | "inputs"> & Partial<Pick<Observer, "inputs">>

export interface Setting {
  /** By default `classification`. */
  readonly plugin?: AnyPlugin
  readonly options?: Readonly<Record<string, unknown>>
  readonly data?: Examples
  readonly checkpoint: CheckpointTaken
  readonly scratch: string
  readonly wanted?: boolean
  readonly observers?: readonly Watcher[]
  /** Called with the steps done at each report of progress. */
  readonly report?: (done: number) => Effect.Effect<void>
}

export interface Ended {
  readonly run: RunGiven
  readonly rows: ReadonlyMap<string, readonly Row[] | PluginError>
}

/** Options completed by the plugin's defaults, as in a pipeline file. */
export const completed = (plugin: AnyPlugin, options: Readonly<Record<string, unknown>>) => {
  const decoded: unknown = plugin.options(options)
  if (decoded instanceof type.errors) throw new Error(decoded.summary)
  return decoded as Readonly<Record<string, unknown>>
}

/** Fine-tunes with observers; `options` are completed by the plugin's defaults. */
export const fineTuning = (setting: Setting): Effect.Effect<Ended, PluginError> =>
  Effect.gen(function* () {
    const {
      plugin = classification,
      data = examplesOf(21),
      checkpoint,
      scratch,
      wanted = true,
      observers = [],
    } = setting
    const { watch, make, observations } = watching(
      wanted,
      observers.map((observer) => ({ inputs: {}, ...observer, scratch: join(scratch, observer.key) })),
    )
    const options = completed(plugin, { lr: 1e-3, seed: 1, batchSize: 4, ...setting.options })
    const start = plugin.run as unknown as (context: object) => Effect.Effect<RunGiven, PluginError, Progress>
    // The engine reads the inputs anew if the run is made again.
    const body = Effect.suspend(() =>
      start({
        options,
        inputs: { data: structuredClone(data), checkpoint },
        scratch: join(scratch, "unit"),
        watch,
      }),
    )
    const run = yield* body.pipe(
      (body) => make(body, remove(join(scratch, "unit"))),
      Effect.provideService(Progress, { report: (done) => setting.report?.(done) ?? Effect.void }),
    )
    const results = yield* observations(undefined)
    const rows = new Map(
      [...results].map(([key, result]) => [key, result._tag === "Success" ? result.success : result.failure]),
    )
    return { run, rows }
  })

/** An observer that gives one row at each of the steps. */
export const observer = (
  key: string,
  steps: readonly number[],
  observe: (view: ClassifierView) => Row,
): Watcher => ({
  key,
  gives: anyObservations,
  options: {},
  probe: {
    steps: () => steps,
    observe: ((view: ClassifierView) => [observe(view)]) as (view: never, context: never) => readonly Row[],
  },
})
