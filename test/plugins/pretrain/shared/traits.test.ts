/** What the estimates of methods of training say of the past of their checkpoints, beside what is in the tensors. */
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import type { Node } from "../../../../core/api/plugin.ts"
import type { Checkpoint, CheckpointEstimate } from "../../../../core/artifacts/checkpoint.ts"
import { graphOf } from "../../../../core/engine/graph.ts"
import { adamw } from "../../../../core/tensor/optimisers/adamw.ts"
import { toyCorpus } from "../../../../plugins/data/toy-corpus.ts"
import { classification } from "../../../../plugins/finetune/classification.ts"
import { alignmentUniformity } from "../../../../plugins/pretrain/alignment-uniformity.ts"
import { consert } from "../../../../plugins/pretrain/consert.ts"
import { dcl } from "../../../../plugins/pretrain/dcl.ts"
import { mlm } from "../../../../plugins/pretrain/mlm.ts"
import { modelOf } from "../../../../plugins/pretrain/model-of.ts"
import { dropoutSeen, poolers, tokenTypes, traitsAfter } from "../../../../plugins/pretrain/shared/traits.ts"
import { simcse } from "../../../../plugins/pretrain/simcse.ts"
import { supervisedSimcse } from "../../../../plugins/pretrain/supervised-simcse.ts"
import { toyStudy, withArtifacts } from "../../../../plugins/testing/testing.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const { vocabulary, corpus, examples, similarity } = toyStudy
const pairs = toyCorpus({ vocabulary, sentences: 96, restated: true })
const size = { layers: 1, hidden: 8, heads: 2, intermediate: 16 }
/** Without weight decay, what has no gradient stays to the bit. */
const common = { batchSize: 16, steps: 2, optimiser: adamw({ epsilon: 1e-8 }) }
const scratch = { ...common, vocabulary, size, positions: 64, lr: 1e-2, dropout: 0 }

const untrained = mlm({ ...scratch, corpus })
const onPairs = mlm({ ...scratch, corpus: pairs })
const both = mlm({ ...scratch, corpus, nextSentence: true, dropout: 0.1 })
const bases = { untrained, onPairs, both }

type Given = {
  readonly checkpoint: Node<typeof Checkpoint>
  readonly lr: number
  readonly dropout: number
  readonly seed: number
}
const methods: Readonly<Record<string, (given: Given) => Node<typeof Checkpoint>>> = {
  mlm: (given) => mlm({ ...common, ...given, corpus, vocabulary }),
  "mlm with next sentences": (given) => mlm({ ...common, ...given, corpus, vocabulary, nextSentence: true }),
  simcse: (given) => simcse({ ...common, ...given, corpus }),
  "simcse on pairs": (given) => simcse({ ...common, ...given, corpus: pairs, maxLength: 64 }),
  dcl: (given) => dcl({ ...common, ...given, corpus }),
  consert: (given) => consert({ ...common, ...given, corpus }),
  "alignment-uniformity": (given) => alignmentUniformity({ ...common, ...given, corpus }),
  "supervised-simcse": (given) => supervisedSimcse({ ...common, ...given, batchSize: 4, data: examples }),
}

const estimateOf = async (checkpoint: Node<typeof Checkpoint>): Promise<CheckpointEstimate> => {
  const computing = { arithmetic: "wasm", sources: {}, packages: {} }
  const graph = await Effect.runPromise(graphOf({ checkpoint }, computing))
  return graph.targets["checkpoint"]![0]!.estimate as CheckpointEstimate
}

/** A tensor of a checkpoint, by the end of its name. */
const tensorOf = (folder: string, name: string): Float32Array => {
  const file = readFileSync(join(folder, "model.safetensors"))
  const length = Number(file.readBigUInt64LE(0))
  const header: Record<string, { readonly data_offsets: readonly [number, number] }> = JSON.parse(
    file.subarray(8, 8 + length).toString(),
  )
  const [, { data_offsets }] = Object.entries(header).find(([each]) => each.endsWith(name))!
  const [start, end] = data_offsets.map((offset) => 8 + length + offset)
  return new Float32Array(new Uint8Array(file.subarray(start, end)).buffer)
}
const poolerOf = (folder: string) => tensorOf(folder, "pooler.dense.weight")
const secondTypeOf = (folder: string) =>
  tensorOf(folder, "token_type_embeddings.weight").subarray(size.hidden)
const apart = (a: Float32Array, b: Float32Array) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))

/** At this learning rate, weights stay where they began. */
const still = 1e-9

describe.each(Object.keys(methods))("%s", (name) => {
  const method = methods[name]!

  test.each(Object.keys(bases) as (keyof typeof bases)[])("after %s: pooler and token types", (base) =>
    withArtifacts(async (artifactOf) => {
      const checkpoint = bases[base]
      const before = (await estimateOf(checkpoint)).traits!
      const given = { checkpoint, dropout: 0, seed: 9 }
      const after = (await estimateOf(method({ ...given, lr: 1e-2 }))).traits!
      const start = (await artifactOf(checkpoint)).folder
      const moved = (await artifactOf(method({ ...given, lr: 1e-2 }))).folder
      const stayed = (await artifactOf(method({ ...given, lr: still }))).folder
      const [isTrained, isKept] = [
        apart(poolerOf(moved), poolerOf(stayed)) > 1e-3,
        apart(poolerOf(start), poolerOf(stayed)) < 1e-6,
      ]
      expect({ isKept, isTrained }).toEqual(
        after["pooler"] === poolers.contrastive
          ? { isKept: false, isTrained: true }
          : { isKept: true, isTrained: name === "mlm with next sentences" },
      )
      if (after["pooler"] === poolers.drawn)
        expect([before["pooler"], isTrained]).toEqual([poolers.drawn, false])
      const secondIsTrained = apart(secondTypeOf(moved), secondTypeOf(start)) > 0
      if (after["token types"] === tokenTypes.first) expect(secondIsTrained).toBe(false)
      else expect(secondIsTrained || before["token types"] === tokenTypes.both).toBe(true)
    }),
  )

  test("dropout is seen if there is some, and what was seen stays seen", () =>
    withArtifacts(async (artifactOf) => {
      const [without, withSome] = [0, 0.3].map((dropout) =>
        method({ checkpoint: untrained, lr: 1e-2, dropout, seed: 9 }),
      ) as [Node<typeof Checkpoint>, Node<typeof Checkpoint>]
      const [first, second] = [(await artifactOf(without)).folder, (await artifactOf(withSome)).folder]
      expect(
        apart(poolerOf(first), poolerOf(second)) +
          apart(tensorOf(first, "query.weight"), tensorOf(second, "query.weight")),
      ).toBeGreaterThan(0)
      expect((await estimateOf(without)).traits).toMatchObject({ dropout: dropoutSeen.no })
      expect((await estimateOf(withSome)).traits).toMatchObject({ dropout: dropoutSeen.yes })
      const later = method({ checkpoint: both, lr: 1e-2, dropout: 0, seed: 9 })
      expect((await estimateOf(later)).traits).toMatchObject({ dropout: dropoutSeen.yes })
    }))

  test("updates are those that the record of training has", () =>
    withArtifacts(async (artifactOf) => {
      const node = method({ checkpoint: untrained, lr: 1e-2, dropout: 0, seed: 9 })
      const { training } = await estimateOf(node)
      const record = JSON.parse(readFileSync(join((await artifactOf(node)).folder, "training.json"), "utf8"))
      expect(training?.["updates"]).toBe(String(record.exportedStep))
      const perItem = name === "supervised-simcse" ? 3 : 1
      expect(training?.["sentences"]).toBe(String(record.exportedStep * record.options.batchSize * perItem))
    }))
})

test("from scratch: the second token type is trained by next sentences, or by a corpus of pairs", () =>
  withArtifacts(async (artifactOf) => {
    const second = async (options: Partial<Parameters<typeof mlm>[0]>) => {
      const node = mlm({ ...scratch, corpus, ...options })
      return {
        types: (await estimateOf(node)).traits?.["token types"],
        row: secondTypeOf((await artifactOf(node)).folder),
      }
    }
    const [never, longer, byNext, byPairs] = [
      await second({}),
      await second({ steps: 3 }),
      await second({ nextSentence: true }),
      await second({ corpus: pairs }),
    ]
    expect(never.types).toBe(tokenTypes.first)
    expect(apart(never.row, longer.row)).toBe(0)
    for (const { types, row } of [byNext, byPairs]) {
      expect(types).toBe(tokenTypes.both)
      expect(apart(never.row, row)).toBeGreaterThan(0)
    }
  }))

test("a method that keeps its best model on a dev set says that its updates are not known", async () => {
  const given = { ...common, checkpoint: both, corpus, dev: similarity, evalEvery: 1 }
  expect((await estimateOf(simcse(given))).training?.["updates"]).toBe("at most 2, the best on a dev set")
  expect((await estimateOf(simcse({ ...given, selection: "last" }))).training?.["updates"]).toBe("2")
})

test("of a fine-tuned model, what its run does not tell is left out", async () => {
  const of = (checkpoint: Node<typeof Checkpoint>, more: object = {}) =>
    estimateOf(
      modelOf(classification({ data: examples, checkpoint, lr: 1e-3, seed: 1, keepModel: true, ...more })),
    )
  expect((await of(untrained)).traits).toEqual({ pooler: poolers.fineTuned })
  const kept = (await estimateOf(both)).traits
  expect((await of(both)).traits).toEqual(kept!)
  expect((await of(both, { reinitialise: 0 })).traits).toEqual({
    ...kept,
    pooler: "drawn anew by fine-tuning",
  })
})

test("what is not known before training is not known after it, but for dropout that there was", () => {
  const trained = { dropout: 0.1, pairs: true, pooler: poolers.nextSentences }
  expect(traitsAfter({}, trained)).toEqual({ dropout: dropoutSeen.yes })
  expect(traitsAfter({ pooler: poolers.released, "token types": tokenTypes.released }, trained)).toEqual({
    pooler: poolers.released,
    "token types": tokenTypes.released,
    dropout: dropoutSeen.yes,
  })
})
