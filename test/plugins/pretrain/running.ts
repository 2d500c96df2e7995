import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import type { AnyPlugin, PluginError } from "../../../core/api/plugin.ts"
import { Progress } from "../../../core/api/progress.ts"
import { Checkpoint, type CheckpointGiven, type CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import type { Corpus } from "../../../core/artifacts/corpus.ts"
import { packSequences } from "../../../core/artifacts/sequences.ts"
import type { Vocabulary } from "../../../core/artifacts/vocabulary.ts"
import { startBackend } from "../../../core/tensor/backend.ts"
import { integers, stream } from "../../../core/tensor/stream.ts"
import { wasm } from "../../../plugins/backend/wasm.ts"
import { completed } from "../finetune/running.ts"

export const onWasm = () => Effect.runPromise(startBackend(wasm))

/** Runs `body` with a temporary folder, which is deleted afterwards. */
export const withFolder = async <A>(body: (folder: string) => Promise<A>): Promise<A> => {
  const folder = mkdtempSync(join(tmpdir(), "pretrain-"))
  try {
    return await body(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export const special = { pad: 0, unknown: 1, cls: 2, separator: 3, mask: 4 }
const specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

/** 20 words that always follow one another in the same cyclic order. */
const words = 20
export const vocabulary: Vocabulary = {
  tokens: [...specials, ...Array.from({ length: words }, (_, i) => `word${i}`)],
  special,
}

/** A sentence of `length` words from word `start` on. Neighbours determine each word, and all are equally frequent. */
export const sentence = (start: number, length: number) => {
  const ids = [special.cls, ...Array.from({ length }, (_, i) => 5 + ((start + i) % words)), special.separator]
  return { ids, tokenTypeIds: ids.map(() => 0) }
}

export const corpusOf = (count: number, seed = 0): Corpus => {
  const starts = integers({ stream: stream(seed, "test"), site: 0, iteration: 0 }, count, words)
  const lengths = integers({ stream: stream(seed, "test"), site: 1, iteration: 0 }, count, 4)
  return {
    sequences: packSequences(Array.from(starts, (start, i) => sentence(start, 5 + lengths[i]!))),
    special,
    vocabularySize: vocabulary.tokens.length,
  }
}

export interface Setting {
  readonly options: Readonly<Record<string, unknown>>
  readonly inputs: Readonly<Record<string, unknown>>
  readonly scratch: string
  /** Called with the steps done at each report of progress. */
  readonly report?: (done: number) => Effect.Effect<void>
}

/** Runs a plugin that gives a checkpoint, with its options completed by its defaults. */
export const give = (plugin: AnyPlugin, { options, inputs, scratch, report }: Setting) => {
  const run = plugin.run as unknown as (
    context: object,
  ) => Effect.Effect<CheckpointGiven, PluginError, Progress>
  return run({ options: completed(plugin, options), inputs, scratch }).pipe(
    Effect.provideService(Progress, { report: (done) => report?.(done) ?? Effect.void }),
  )
}

/** Runs the plugin, writes its checkpoint to `folder` and reads it back. */
export const checkpointBy = (
  plugin: AnyPlugin,
  folder: string,
  setting: Setting,
): Effect.Effect<CheckpointTaken, PluginError> =>
  Effect.gen(function* () {
    const given = yield* give(plugin, setting)
    yield* Effect.promise(() => mkdir(folder, { recursive: true }))
    yield* Checkpoint.write(folder, given)
    return yield* Checkpoint.read(folder)
  })

/** The message with which a plugin refuses its inputs. */
export const refusal = (plugin: AnyPlugin, setting: Setting): Promise<string> =>
  Effect.runPromise(Effect.map(Effect.flip(give(plugin, setting)), (error) => error.message))

/** The `training.json` of a checkpoint. */
export const trainingOf = ({ folder }: CheckpointTaken) =>
  TrainingFile.assert(JSON.parse(readFileSync(join(folder, "training.json"), "utf8")))

const TrainingFile = type({
  "+": "reject",
  method: "string",
  options: "Record<string, unknown>",
  sentences: "number",
  "evaluations?": type({ step: "number", score: "number | null" }).array(),
  exportedStep: "number",
  loss: "number[]",
  learningRate: "number[]",
  gradientNorm: "number[]",
})
