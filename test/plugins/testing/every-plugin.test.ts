/** Every plugin of this project keeps what `testPlugin` tests. */
import { afterAll, expect, test } from "bun:test"
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { cohort, mapCohort } from "../../../core/api/pipeline.ts"
import type { AnyPlugin, Node } from "../../../core/api/plugin.ts"
import { plugins } from "../../../core/engine/discover.ts"
import { table } from "../../../plugins/data/table.ts"
import { classification } from "../../../plugins/finetune/classification.ts"
import { fisher } from "../../../plugins/probe/fisher.ts"
import { trajectory } from "../../../plugins/probe/trajectory.ts"
import { fewerFailures } from "../../../plugins/report/shared/claims/fewer-failures.ts"
import { type PluginTest, testPlugin, toyStudy, withArtifacts } from "../../../plugins/testing/testing.ts"

const folder = mkdtempSync(join(tmpdir(), "every-plugin-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const fixture = (name: string) => join(import.meta.dir, "..", "..", "fixtures", name)

const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const sentences = file("sentences.txt", "A cat sat.\nTwo dogs ran away.\n".repeat(40))
/** With sentences of the length that a table's are taken to have. */
const scored = file(
  "scored.csv",
  `one,two,score\n${Array.from({ length: 20 }, (_, i) => `A cat sat on a mat and saw how two birds came down from the old tree.,"${"It ran, too. ".repeat(3 + 2 * (i % 3))}",${i % 6}\n`).join("")}`,
)
const sts = join(folder, "sts")
mkdirSync(sts)
writeFileSync(
  join(sts, "sts-dev.csv"),
  "main-news\theadlines\t2016\t0281\t4.5\tOne, two.\tTwo, one.\n".repeat(20),
)

/** A checkpoint in a folder of its own, as one from the hub is. */
const released = join(folder, "released")
const vocabularySize = await withArtifacts(async (artifactOf) => {
  cpSync((await artifactOf(toyStudy.checkpoint)).folder, released, { recursive: true })
  return (await artifactOf(toyStudy.vocabulary)).tokens.length
})

/** A study of one arm, for its page. */
const { examples: data, checkpoint } = toyStudy
const size = { layers: 2, hidden: 8, heads: 2, intermediate: 16 }
const runs = cohort({ arm: "vanilla", lr: 1e-3 }, [1, 2], (seed) =>
  classification({ data, checkpoint, lr: 1e-3, seed, batchSize: 8, epochs: 2 }),
)
/** An arm of the same runs, for claims to compare. */
const other = { labels: { arm: "other", lr: 1e-3 }, members: runs.members }
const kept = { data, checkpoint, batchSize: 8, epochs: 2 }
const page = {
  runs: [runs, other],
  ranks: [mapCohort(runs, (run) => fisher({ run, samples: 4 }))],
  trajectories: [mapCohort(runs, (run) => trajectory({ run }))],
  furtherTraining: [cohort({ arm: "vanilla" }, [42], () => checkpoint)],
  observations: [],
}
const noFailures = fewerFailures({ arm: "other", than: "vanilla", lr: 1e-3 })

const scores = table({
  vocabulary: toyStudy.vocabulary,
  train: scored,
  sentences: ["one", "two"],
  label: "score",
  labels: "scores",
})

/** A task's estimate is that of all its examples; the fixture is a few of them. */
const task = (name: string) => ({ options: { source: fixture(join("glue", name)) }, costFactor: 1e6 })

/** How each plugin is tested; one that is not among them is tested as it is. */
const settings: Readonly<Record<string, PluginTest<Record<string, unknown>>>> = {
  alignment: { options: { steps: { at: [0], last: true }, samples: 20, poolings: ["cls", "mean"] } },
  "alignment-uniformity": { options: { batchSize: 16, steps: 4 } },
  cka: { options: { steps: { at: [3], last: true }, samples: 20, poolings: ["cls", "mean"], blocks: "all" } },
  claims: {
    options: {
      title: "Claims",
      claims: [noFailures],
      charts: [{ title: "Radius", x: "step", y: "r", facet: "scope" }],
    },
    inputs: { runs: page.runs, observations: page.trajectories },
    costFactor: 10,
  },
  classification: { options: { lr: 1e-3, seed: 1, batchSize: 8, epochs: 2, keepModel: true } },
  fisher: {
    options: {
      steps: { at: [0], last: true },
      samples: 4,
      blocks: ["layers", "embeddings", "pooler", "classifier"],
    },
  },
  "fisher-ranks": {
    options: { thresholds: [0.9, 0.99], samples: [2, 4], subsets: 3, tensors: ["all", "biases"] },
    inputs: { grams: fisher({ run: toyStudy.run, samples: 4, grams: "tensors" }) },
  },
  hessian: {
    options: { steps: { at: [0], last: true }, samples: 4, blocks: ["encoder"], iterations: 2, vectors: 1 },
  },
  // Of its own classifier; with that of another checkpoint in `test/plugins/probe/evaluate.test.ts`.
  evaluate: { options: { steps: { at: [0], every: 2, last: true }, split: "train" } },
  ...Object.fromEntries(
    ["cola", "mnli", "mrpc", "qnli", "qqp", "sst2", "stsb", "wnli"].map((name) => [name, task(name)]),
  ),
  consert: {
    options: { batchSize: 16, steps: 4, evalEvery: 2, dropout: 0.1 },
    inputs: { dev: toyStudy.similarity },
  },
  dcl: { options: { batchSize: 16, steps: 4 } },
  "gradient-noise": { options: { steps: { at: [0], last: true }, samples: 4 } },
  // Its estimate is that of a chart with many panels and lines.
  "line-chart": { options: { title: "Trajectories", x: "step", y: "r", facet: "scope" }, costFactor: 10 },
  "mnli-mismatched": task("mnli"),
  mlm: { options: { size, positions: 64, steps: 3, batchSize: 16 } },
  "model-of": { inputs: { run: classification({ ...kept, lr: 1e-3, seed: 1, keepModel: true }) } },
  "observations-table": { options: { title: "Observations" } },
  "pooler-saturation": { options: { steps: { at: [0], last: true }, samples: 20 } },
  pretrained: { options: { source: released, size, vocabularySize, positions: 64 } },
  regression: {
    options: { lr: 1e-3, seed: 1, batchSize: 8, epochs: 2 },
    inputs: { data: scores },
  },
  representation: { options: { steps: { at: [0], last: true }, samples: 20, poolings: ["cls", "mean"] } },
  // Its estimate is that of runs of some length.
  "run-comparison": { options: { title: "Runs", at: 3 }, inputs: { runs: [runs] }, costFactor: 10 },
  rte: { options: { source: fixture("rte-sample") }, costFactor: 1000 },
  // Its estimate is that of a map with many panels.
  "scaling-map": {
    options: { title: "A map", x: "epochs" },
    inputs: { runs: [{ labels: { epochs: 2, lr: 1e-3 }, members: runs.members }], observations: [] },
    costFactor: 10,
  },
  sentences: { options: { source: sentences } },
  simcse: {
    options: { batchSize: 16, steps: 4, evalEvery: 2 },
    inputs: { dev: toyStudy.similarity },
  },
  // Its estimate is that of many curves.
  "specification-curve": {
    options: { title: "Specifications", presumed: { epochs: 2 }, ofRuns: [noFailures] },
    inputs: {
      runs: [runs, other].map(({ labels, members }) => ({ labels: { ...labels, epochs: 2 }, members })),
      observations: [],
    },
    costFactor: 100,
  },
  sts: { options: { benchmark: "STS-B/dev", source: sts }, costFactor: 1000 },
  "sts-score": { options: { pooling: "first-last" }, inputs: { corpus: toyStudy.corpus } },
  // Its estimate is that of a study of 30 seeds.
  "study-page": {
    options: { title: "A study", arms: ["vanilla", "other"], claims: [noFailures] },
    inputs: page,
    costFactor: 100,
  },
  "supervised-simcse": {
    options: { batchSize: 6, steps: 4, evalEvery: 2 },
    inputs: { dev: toyStudy.similarity },
  },
  table: {
    options: { train: scored, sentences: ["one", "two"], label: "score", labels: "scores", range: [0, 5] },
  },
  "toy-acceptability": { options: { train: 40, dev: 10 } },
  "toy-corpus": { options: { sentences: 200, restated: true } },
  "toy-entailment": { options: { train: 40, dev: 10 } },
  "toy-stsb": { options: { train: 40, dev: 10 } },
  "toy-similarity": { options: { pairs: 20 } },
  trajectory: { options: { steps: { at: [0], every: 2, last: true } } },
  "weight-rank": { options: { steps: { at: [0], every: 3, last: true } } },
  vocabulary: { options: { source: fixture("vocab.txt") } },
}

const found = await Effect.runPromise(plugins())

// Discovery gives plugins without the types of their calls.
type Callable = AnyPlugin & ((settings: Record<string, unknown>) => Node)
for (const plugin of found) testPlugin(plugin as Callable, settings[plugin.name])

test("none of the settings is of a plugin that is gone", () => {
  const names = found.map(({ name }) => name)
  expect(Object.keys(settings).filter((name) => !names.includes(name))).toEqual([])
})
