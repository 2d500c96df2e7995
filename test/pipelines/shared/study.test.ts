import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { describeLabels, type Targets } from "../../../core/api/pipeline.ts"
import type { Cohort } from "../../../core/api/plugin.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import { computingOf } from "../../../core/engine/key.ts"
import { lion } from "../../../core/tensor/optimisers/lion.ts"
import paper from "../../../pipelines/paper.ts"
import quickstart from "../../../pipelines/quickstart.ts"
import {
  type ArmCheckpoint,
  asItIs,
  type FineTuneSettings,
  perSeed,
  study,
} from "../../../pipelines/shared/study.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import { toyCorpus } from "../../../plugins/data/toy-corpus.ts"
import { toyEntailment } from "../../../plugins/data/toy-entailment.ts"
import { toyVocabulary } from "../../../plugins/data/toy-vocabulary.ts"
import { classification } from "../../../plugins/finetune/classification.ts"
import { regression } from "../../../plugins/finetune/regression.ts"
import { mlm } from "../../../plugins/pretrain/mlm.ts"
import { simcse } from "../../../plugins/pretrain/simcse.ts"
import { lineChart } from "../../../plugins/report/line-chart.ts"
import { templateProbe } from "../../../plugins/template/probe.ts"

const small = quickstart.parameters.assert({})

test("learning rates or arms that are given twice are refused: their runs would count twice", () => {
  expect(() => quickstart.build({ ...small, lr: [1e-5, 2e-5, 1e-5] })).toThrow(
    "lr: expected different values, found 1e-5 twice",
  )
  expect(() => quickstart.build({ ...small, lr: [] })).toThrow("lr: expected at least one value")
  expect(() => quickstart.build({ ...small, dropout: [0.1, 0.1] })).toThrow(
    "arm: expected different values, found SimCSE(0.1) twice",
  )
})

/** Labels and seeds of the runs that probes watch in `paper.ts`. */
const watched = (given: Readonly<Record<string, unknown>>) => {
  const report = paper.build(paper.parameters.assert(given))["report"]
  if (report === undefined || !("inputs" in report)) throw new Error("expected the report to be one node")
  return (report.inputs["trajectories"] as readonly Cohort[]).map(
    ({ labels, members }) => `${labels["arm"]} ${labels["lr"]} ${members.map(({ seed }) => seed)}`,
  )
}

test("in a part of the paper's study, probes watch the runs that the paper watches or, without one, the first", () => {
  expect(watched({ lr: [1e-5, 2e-5], dropout: [0.1, 0.3], seeds: [1, 2] })).toEqual([
    "vanilla 0.00001 1,2",
    "vanilla 0.00002 1,2",
    "SimCSE(0.1) 0.00001 1,2",
    "SimCSE(0.1) 0.00002 1,2",
  ])
  expect(watched({ lr: [7e-6], dropout: [0.3], seeds: [11, 12] })).toEqual(["vanilla 0.000007 11,12"])
  expect(watched({ watchedArms: ["SimCSE(0.5)"], watchedLr: [3e-5], watchedSeeds: [2, 3] })).toEqual([
    "SimCSE(0.5) 0.00003 2,3",
  ])
})

test("watched runs that are not run are refused, all at once", () => {
  const given = { lr: [1e-5], seeds: [1, 2], watchedArms: ["SimCSE"], watchedLr: [], watchedSeeds: [1, 3] }
  expect(() => watched(given)).toThrow(
    [
      "the runs that probes watch:",
      "  the arms to watch must be among vanilla, SimCSE(0.05), SimCSE(0.1), SimCSE(0.3), SimCSE(0.4), SimCSE(0.5) (was SimCSE)",
      "  the learning rates to watch must be among 1e-5 (was none)",
      "  the seeds to watch must be among 1, 2 (was 3)",
    ].join("\n"),
  )
})

describe("a pipeline of one's own", () => {
  const vocabulary = toyVocabulary({})
  const corpus = toyCorpus({ vocabulary, sentences: 200 })
  const size = { layers: 1, hidden: 8, heads: 4, intermediate: 16 }
  const checkpoint = mlm({ corpus, vocabulary, size, positions: 64, steps: 2, batchSize: 8 })
  const trained = (seed: number) => simcse({ corpus, checkpoint, dropout: 0.1, steps: 2, seed })
  const settings = {
    title: "a study",
    provenance: {},
    data: toyEntailment({ vocabulary, train: 32, dev: 8 }),
    arms: [
      { name: "vanilla", checkpoints: asItIs(checkpoint) },
      { name: "SimCSE", checkpoints: asItIs(trained(42)) },
    ],
    lr: [1e-4, 2e-4],
    seeds: [1, 2, 3],
    fineTuning: { batchSize: 4 },
    samples: 4,
    watched: { arms: ["vanilla"], lr: [2e-4], seeds: [1, 2] },
  }
  const described = (cohorts: readonly Cohort[]) =>
    cohorts.map(({ labels, members }) => `${describeLabels(labels)} ${members.map(({ seed }) => seed)}`)

  test("gets the study's runs and observations, with the labels of the study", () => {
    const { runs, watched, ranks, trajectories } = study(settings)
    const all = ["vanilla", "SimCSE"].flatMap((arm) => [1, 2].map((k) => `arm=${arm} lr=${k}e-4 1,2,3`))
    expect(described(runs)).toEqual(all)
    expect(described(watched)).toEqual(["arm=vanilla lr=2e-4 1,2"])
    expect(described(ranks)).toEqual([
      "arm=vanilla lr=1e-4 1,2,3",
      "arm=SimCSE lr=1e-4 1,2,3",
      "arm=vanilla lr=2e-4 1,2",
    ])
    expect(described(trajectories)).toEqual(described(watched))
  })

  const seeded = {
    ...settings,
    arms: [settings.arms[0]!, { name: "SimCSE", checkpoints: perSeed([42, 43], trained) }],
  }

  test("fine-tunes every checkpoint of an arm with the same seeds, and asks for ranks once per checkpoint", () => {
    const watchedArms = { ...seeded.watched, arms: ["vanilla", "SimCSE"] }
    const { runs, ranks, watched } = study({ ...seeded, watched: watchedArms })
    expect(described(runs)).toEqual([
      "arm=vanilla lr=1e-4 1,2,3",
      "arm=vanilla lr=2e-4 1,2,3",
      "arm=SimCSE checkpoint=42 lr=1e-4 1,2,3",
      "arm=SimCSE checkpoint=43 lr=1e-4 1,2,3",
      "arm=SimCSE checkpoint=42 lr=2e-4 1,2,3",
      "arm=SimCSE checkpoint=43 lr=2e-4 1,2,3",
    ])
    const seedOf = (cohort: (typeof runs)[number]) => {
      const from = cohort.members[0]!.node.inputs["checkpoint"]
      return from !== undefined && "options" in from ? from.options : undefined
    }
    expect(seedOf(runs[3]!)).toMatchObject({ seed: 43 })
    const before = ranks.filter(({ members }) => {
      const { steps } = members[0]!.node.options as { steps: { at: readonly number[] } }
      return steps.at[0] === 0
    })
    expect(described(before)).toEqual([
      "arm=vanilla lr=1e-4 1,2,3",
      "arm=SimCSE checkpoint=42 lr=1e-4 1,2,3",
      "arm=SimCSE checkpoint=43 lr=1e-4 1,2,3",
    ])
    expect(described(watched)).toEqual(["arm=vanilla lr=2e-4 1,2", "arm=SimCSE checkpoint=42 lr=2e-4 1,2"])
    const other = study({ ...seeded, watched: { ...watchedArms, checkpoints: [43] } })
    expect(described(other.trajectories)).toEqual([
      "arm=vanilla lr=2e-4 1,2",
      "arm=SimCSE checkpoint=43 lr=2e-4 1,2",
    ])
  })

  test("gives the report each checkpoint of further training once, whatever the arms that share it", () => {
    const [vanilla, simcse] = seeded.arms
    const { report } = study({ ...seeded, arms: [vanilla!, simcse!, { ...simcse!, name: "again" }] })
    expect(described(report.inputs["furtherTraining"] as readonly Cohort[])).toEqual(["arm=SimCSE 42,43"])
  })

  test("observes ranks before fine-tuning for seeds of their own", () => {
    const { ranks, runs } = study({ ...settings, rankSeeds: [3, 4, 5, 6] })
    expect(described(ranks).slice(0, 2)).toEqual([
      "arm=vanilla lr=1e-4 3,4,5,6",
      "arm=SimCSE lr=1e-4 3,4,5,6",
    ])
    expect(described(runs)[0]).toBe("arm=vanilla lr=1e-4 1,2,3")
  })

  test("fine-tunes an arm in its own way", () => {
    const fresh = {
      name: "fresh",
      checkpoints: asItIs(checkpoint),
      fineTune: (given: FineTuneSettings) => classification({ ...given, reinitialise: 0 }),
    }
    const { runs } = study({ ...settings, arms: [...settings.arms, fresh] })
    const optionsOf = (arm: string) =>
      runs.find(({ labels }) => labels["arm"] === arm)!.members[0]!.node.options
    expect(optionsOf("vanilla")).not.toHaveProperty("reinitialise")
    expect(optionsOf("fresh")).toMatchObject({ batchSize: 4, lr: 1e-4, seed: 1, reinitialise: 0 })
  })

  test("refuses checkpoints that cannot be told apart", () => {
    const of = (checkpoints: readonly ArmCheckpoint[]) => () =>
      study({ ...settings, arms: [{ name: "vanilla", checkpoints }] })
    expect(of(perSeed([42, 42], trained))).toThrow(
      "vanilla: expected one checkpoint for each of several seeds",
    )
    expect(of([...asItIs(checkpoint), ...perSeed([42], trained)])).toThrow("found one without a seed, 42")
    expect(of([])).toThrow("found none")
    expect(() => study({ ...seeded, watched: { ...seeded.watched, checkpoints: [41] } })).toThrow(
      "the seeds of further training to watch must be among 42, 43 (was 41)",
    )
  })

  test("fine-tunes by another method, or with other options", () => {
    const { runs } = study({
      ...settings,
      fineTune: (given) => regression({ ...given, optimiser: lion({}) }),
    })
    expect(described(runs)).toEqual(described(study(settings).runs))
    const { node } = runs[2]!.members[1]!
    expect(node.plugin.name).toBe("regression")
    expect(node.inputs["checkpoint"]).toBe(settings.arms[1]!.checkpoints[0]!.checkpoint)
    expect(node.options).toMatchObject({ lr: 1e-4, seed: 2, batchSize: 4, optimiser: { name: "lion" } })
  })

  test("adds probes of all runs and of the watched ones, and reports beside the study's", async () => {
    const { report, runs, observations } = study({
      ...settings,
      probes: {
        all: { start: (run) => templateProbe({ run, steps: { at: [0] } }) },
        watched: { norms: (run) => templateProbe({ run, steps: { at: [0], last: true } }) },
      },
    })
    expect(described(observations.all.start)).toEqual(described(runs))
    expect(described(observations.watched.norms)).toEqual(["arm=vanilla lr=2e-4 1,2"])
    expect(observations.watched.norms[0]!.members[1]!.node.inputs["run"]).toBe(runs[1]!.members[1]!.node)
    const norms = lineChart({
      title: "Norms",
      x: "step",
      y: "norm",
      colour: "layer",
      observations: observations.watched.norms,
    })
    const keysOf = async (targets: Targets) =>
      (await Effect.runPromise(graphOf(targets, computingOf(cpu, "fp32")))).units.map(({ key }) => key)
    const [own, extended] = [await keysOf({ report }), await keysOf({ report, norms })]
    // Two probes and a chart are added, and nothing that was there changes.
    expect(extended).toHaveLength(own.length + 3)
    expect(own.filter((key) => !extended.includes(key))).toEqual([])
  })
})
