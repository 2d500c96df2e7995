/** Fine-tuning, SimCSE, masked language modelling and the probes on each family of encoders. */
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { Checkpoint, type CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import type { Corpus } from "../../../core/artifacts/corpus.ts"
import { quotient } from "../../../core/artifacts/metrics/ratio.ts"
import { scoreOf } from "../../../core/artifacts/run.ts"
import { packSequences } from "../../../core/artifacts/sequences.ts"
import { startBackend } from "../../../core/tensor/backend.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { wasm } from "../../../plugins/backend/wasm.ts"
import { encodeAll } from "../../../plugins/data/shared/encode.ts"
import { checkModel, loadModel } from "../../../plugins/model/hugging-face.ts"
import { distilbert } from "../../../plugins/model/layouts/distilbert.ts"
import { electra } from "../../../plugins/model/layouts/electra.ts"
import type { EncoderConfig } from "../../../plugins/model/layouts/layout.ts"
import { roberta } from "../../../plugins/model/layouts/roberta.ts"
import { tokenizerOf } from "../../../plugins/model/tokenizer.ts"
import { readVocabulary } from "../../../plugins/model/vocabulary.ts"
import { mlm } from "../../../plugins/pretrain/mlm.ts"
import { simcse } from "../../../plugins/pretrain/simcse.ts"
import { evaluate } from "../../../plugins/probe/evaluate.ts"
import { type FisherRow, fisher } from "../../../plugins/probe/fisher.ts"
import { trajectory } from "../../../plugins/probe/trajectory.ts"
import { completed, examplesOf, fineTuning, writeCheckpoint } from "../finetune/running.ts"
import { checkpointBy, corpusOf, refusal, sentence, vocabulary } from "../pretrain/running.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

/** With a learning rate at which it learns the examples by heart. */
const families: readonly [string, Partial<EncoderConfig>, number][] = [
  ["RoBERTa", { layout: roberta, padTokenId: 1 }, 0.005],
  ["ELECTRA", { layout: electra, embeddingSize: 6 }, 0.01],
  ["DistilBERT", { layout: distilbert, classifierDropout: 0.2 }, 0.005],
]

const root = mkdtempSync(join(tmpdir(), "layouts-"))
const checkpoints = new Map<string, CheckpointTaken>()
let before: number
beforeAll(async () => {
  await Effect.runPromise(startBackend(wasm))
  for (const [title, config] of families) {
    checkpoints.set(title, await writeCheckpoint(join(root, title), config))
    const larger = { ...config, vocabularySize: vocabulary.tokens.length }
    for (const [kind, architecture] of [
      ["of words", "BertModel"],
      ["fine-tuned", "BertForSequenceClassification"],
    ] as const) {
      const name = `${title} ${kind}`
      checkpoints.set(name, await writeCheckpoint(join(root, name), larger, architecture))
    }
  }
})
afterAll(() => rmSync(root, { recursive: true, force: true }))
beforeEach(() => {
  before = tf.memory().numTensors
})
afterEach(() => expect(tf.memory().numTensors).toBe(before))

const corpus: Corpus = corpusOf(40, 1)
const encoderOf = async ({ folder }: CheckpointTaken) => {
  const { parameters, ...rest } = await Effect.runPromise(loadModel(folder, { outputHeads: {} }))
  const host = parameters.toHost()
  parameters.dispose()
  return { ...rest, host }
}

describe.each(families)("%s", (title, { layout }, lr) => {
  test("is fine-tuned, is watched by the probes, and is kept as its family's classifier", async () => {
    const scratch = join(root, `${title}-fine-tuning`)
    const { run, rows } = await Effect.runPromise(
      fineTuning({
        checkpoint: checkpoints.get(title)!,
        scratch,
        data: examplesOf(42),
        options: { epochs: 10, lr, dropout: 0, keepModel: true },
        observers: [
          {
            key: "fisher",
            options: completed(fisher, {
              samples: 3,
              steps: { at: [0] },
              blocks: ["layers", "embeddings", "pooler", "classifier"],
              selfCheck: true,
            }),
            probe: fisher.probe!,
            gives: fisher.gives,
          },
          {
            key: "trajectory",
            options: completed(trajectory, { steps: { at: [20] } }),
            probe: trajectory.probe!,
            gives: trajectory.gives,
          },
        ],
      }),
    )
    const mean = (losses: Float64Array) => losses.reduce((sum, loss) => sum + loss, 0) / losses.length
    expect(mean(run.loss.slice(-11))).toBeLessThan(0.1 * mean(run.loss.slice(0, 11)))

    const observed = rows.get("fisher") as readonly FisherRow[]
    expect(observed.slice(0, 5).map(({ block }) => block)).toEqual([
      "embeddings",
      "layer.0",
      "layer.1",
      "classifier",
      "encoder",
    ])
    for (const { selfCheck } of observed) expect(selfCheck).toBeLessThan(1e-4)
    expect(Array.isArray(rows.get("trajectory"))).toBe(true)

    const folder = join(scratch, "kept")
    await Effect.runPromise(run.saveModel!(folder))
    const { config, outputHeads } = await Effect.runPromise(checkModel(folder))
    expect([config.layout.title, outputHeads]).toEqual([title, ["classifier"]])
    expect(config.labels).toEqual(["entailment", "not_entailment"])

    // Of a second run, which starts as the first one ended, the first one's classifier gives the same answers.
    const model = await Effect.runPromise(Checkpoint.read(folder))
    const asked = (head?: CheckpointTaken) => ({
      key: head === undefined ? "own" : "head",
      options: completed(evaluate, { steps: { at: [0] } }),
      inputs: { data: examplesOf(42), head },
      probe: evaluate.probe!,
      gives: evaluate.gives,
    })
    for (const classifier of ["new", "checkpoint"]) {
      const second = await Effect.runPromise(
        fineTuning({
          checkpoint: model,
          scratch: join(root, `${title}-${classifier}`),
          data: examplesOf(42),
          options: { epochs: 0.1, classifier },
          observers: classifier === "new" ? [asked(model)] : [asked(model), asked()],
        }),
      )
      const { value } = scoreOf(run)[0]!
      for (const found of second.rows.values()) expect(found).toMatchObject([{ value: quotient(value) }])
    }
  })

  test.each(["of words", "fine-tuned"])(
    "%s is trained further by SimCSE, with a pooler as its head",
    async (kind) => {
      const checkpoint = checkpoints.get(`${title} ${kind}`)!
      const trained = await Effect.runPromise(
        checkpointBy(simcse, join(root, `${title}-${kind}-simcse`), {
          options: { batchSize: 8, lr: 0.01, steps: 10 },
          inputs: { corpus, checkpoint },
          scratch: join(root, `${title}-${kind}-simcse-scratch`),
        }),
      )
      const { config, outputHeads } = await Effect.runPromise(checkModel(trained.folder))
      expect([config.layout.title, outputHeads]).toEqual([title, layout === roberta ? ["pooler"] : []])
      const [start, end] = [await encoderOf(checkpoint), await encoderOf(trained)]
      for (const [name, { values }] of start.host) {
        // The gradient of a key's bias vanishes, since softmax does not depend on it.
        if (!/(key|k_lin)\.bias$/.test(name)) expect(end.host.get(name)!.values).not.toEqual(values)
      }
      const head = stream(1, "head")
      const tuned = await Effect.runPromise(
        loadModel(trained.folder, {
          outputHeads: { pooler: { readOrDraw: head }, classifier: { draw: head } },
        }),
      )
      expect(tuned.drawn).toEqual(["classifier"])
      tuned.parameters.dispose()
    },
  )
})

test.each(["RoBERTa", "DistilBERT"])("%s is trained further as a masked language model", async (title) => {
  const trained = await Effect.runPromise(
    checkpointBy(mlm, join(root, `${title}-mlm`), {
      options: { batchSize: 16, lr: 0.01, steps: 20 },
      inputs: { corpus, vocabulary, checkpoint: checkpoints.get(`${title} of words`)! },
      scratch: join(root, `${title}-mlm-scratch`),
    }),
  )
  const { config, outputHeads } = await Effect.runPromise(checkModel(trained.folder))
  expect(config.layout.title).toBe(title)
  expect(outputHeads).toEqual(
    title === "RoBERTa" ? ["pooler", "maskedLanguageModel"] : ["maskedLanguageModel"],
  )
  expect(trained.config.architectures).toEqual([`${config.layout.className}ForMaskedLM`])
})

test("a sequence longer than RoBERTa's positions is refused, with how many they are", async () => {
  const message = await refusal(mlm, {
    options: { batchSize: 2, steps: 1 },
    inputs: {
      corpus: { ...corpus, sequences: packSequences([sentence(0, 15), sentence(1, 15)]) },
      vocabulary,
      checkpoint: checkpoints.get("RoBERTa of words")!,
    },
    scratch: join(root, "too-long"),
  })
  expect(message).toContain(
    "corpus has a sequence of 17 tokens, but the model takes at most 16 (max_position_embeddings, less 2 that are not used, in",
  )
})

test("ELECTRA is refused as a masked language model", async () => {
  const scratch = join(root, "electra-mlm")
  const message = await refusal(mlm, {
    options: { batchSize: 8, steps: 1 },
    inputs: { corpus, vocabulary, checkpoint: checkpoints.get("ELECTRA of words")! },
    scratch,
  })
  expect(message).toContain("ELECTRA has no masked language model here")
  expect(existsSync(scratch)).toBe(false)
})

test("a new model keeps a byte-level tokenizer, and is not trained further with another one", async () => {
  const folder = join(root, "byte-level")
  const path = join(import.meta.dir, "../../fixtures/tokenizers/byte-level-bpe.json")
  const bytePair = await Effect.runPromise(readVocabulary(path))
  const sequences = await Effect.runPromise(
    encodeAll(
      tokenizerOf(bytePair),
      Array.from({ length: 8 }, () => ({ first: "The harbour" })),
      9,
    ),
  )
  const bytes: Corpus = { sequences, special: bytePair.special, vocabularySize: bytePair.tokens.length }
  const size = { layers: 1, hidden: 8, heads: 2, intermediate: 8 }
  const checkpoint = await Effect.runPromise(
    checkpointBy(mlm, join(folder, "out"), {
      options: { size, positions: 9, batchSize: 4, steps: 2 },
      inputs: { corpus: bytes, vocabulary: bytePair },
      scratch: join(folder, "scratch"),
    }),
  )
  expect(checkpoint.config).toMatchObject({
    model_type: "bert",
    vocab_size: bytePair.tokens.length,
    pad_token_id: 1,
  })
  const stored = await Effect.runPromise(readVocabulary(join(checkpoint.folder, "tokenizer.json")))
  expect(stored).toEqual(bytePair)
  const { tokenizer, ...uncased } = bytePair
  expect(tokenizer).toBeDefined()
  const message = await refusal(mlm, {
    options: { batchSize: 4, steps: 2 },
    inputs: { corpus: bytes, vocabulary: uncased, checkpoint },
    scratch: folder,
  })
  expect(message).toContain(
    "vocabulary is not the checkpoint's: its tokens are the same, but the tokenizer differs in",
  )
})
