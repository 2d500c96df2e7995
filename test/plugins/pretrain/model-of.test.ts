import { expect, test } from "bun:test"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { cohort, mapCohort } from "../../../core/api/pipeline.ts"
import type { CheckpointEstimate } from "../../../core/artifacts/checkpoint.ts"
import { classification } from "../../../plugins/finetune/classification.ts"
import { readVocabulary } from "../../../plugins/model/vocabulary.ts"
import { keptModel, modelOf } from "../../../plugins/pretrain/model-of.ts"
import { simcse } from "../../../plugins/pretrain/simcse.ts"
import { evaluate } from "../../../plugins/probe/evaluate.ts"
import { toyStudy, withArtifacts } from "../../../plugins/testing/testing.ts"

const { examples: data, checkpoint, corpus } = toyStudy
const setting = { data, checkpoint, lr: 1e-3, batchSize: 8, epochs: 2 }
const kept = classification({ ...setting, seed: 1, keepModel: true })

test("has the files of the run's model, as links, its tokenizer among them", () =>
  withArtifacts(async (artifactOf) => {
    const { modelFolder } = await artifactOf(kept)
    const { folder, config } = await artifactOf(modelOf(kept))
    expect(readdirSync(folder).sort()).toEqual(["config.json", "model.safetensors", "vocab.txt"])
    for (const name of readdirSync(folder)) {
      expect(readFileSync(join(folder, name))).toEqual(readFileSync(join(modelFolder!, name)))
      expect(statSync(join(folder, name)).ino).toBe(statSync(join(modelFolder!, name)).ino)
    }
    expect(config).toMatchObject({ id2label: { 0: "entailment", 1: "not_entailment" } })
    const { tokens } = await artifactOf(toyStudy.vocabulary)
    expect((await Effect.runPromise(readVocabulary(join(folder, "vocab.txt")))).tokens).toEqual(tokens)
  }))

test("is fine-tuned and trained further, seed by seed", () =>
  withArtifacts(async (artifactOf) => {
    const first = cohort({ arm: "toy" }, [1, 2], (seed) =>
      classification({ ...setting, seed, keepModel: true }),
    )
    const models = mapCohort(first, modelOf)
    expect([models.labels, models.members.map(({ seed }) => seed)]).toEqual([{ arm: "toy" }, [1, 2]])
    const second = mapCohort(models, (checkpoint, seed) => classification({ ...setting, checkpoint, seed }))
    const losses = new Set<number>()
    for (const { node } of second.members) losses.add((await artifactOf(node)).loss[0]!)
    expect(losses.size).toBe(2)
    const further = simcse({ corpus, checkpoint: modelOf(kept), steps: 2, batchSize: 16 })
    expect((await artifactOf(further)).config["architectures"]).toEqual(["BertModel"])
  }))

test("a plan knows its size, and the checkpoint's is what the next run is estimated from", () => {
  const estimate = keptModel.estimate as unknown as (
    options: object,
    inputs: object,
  ) => { readonly artifact: CheckpointEstimate; readonly cost: { readonly disk: number } }
  const sizes = { layers: 2, hidden: 8, heads: 2, intermediate: 16, vocabularySize: 30, positions: 64 }
  const run = { ...sizes, steps: 6, warmupSteps: 1, batchSize: 8, tokensPerExample: 15, parameters: 1000 }
  const { artifact, cost } = estimate({}, { run: { ...run, keepsModel: true } })
  expect(artifact).toEqual({ ...sizes, traits: {} })
  expect(cost.disk).toBe(4000)
  expect(() => estimate({}, { run: { ...run, keepsModel: false } })).toThrow("does not keep its model")
})

test("of a run that does not keep its model is refused before anything runs, with what to set", () =>
  withArtifacts(async (artifactOf) => {
    const run = classification({ ...setting, seed: 1 })
    const rows = evaluate({ run, data, head: modelOf(run) })
    expect(artifactOf(modelOf(run))).rejects.toThrow(
      "model-of: modelOf(run): the run does not keep its model; give it keepModel: true, as in classification({ …, keepModel: true })",
    )
    // Nor can a run wait for its own end.
    const circle = evaluate({ run: kept, data, head: modelOf(kept) })
    expect(artifactOf(circle)).rejects.toThrow(
      "expected what can be made before the run that it watches starts",
    )
    expect(artifactOf(rows)).rejects.toThrow("does not keep its model")
  }))
