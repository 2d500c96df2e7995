import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import type { Pipeline, Targets } from "../../../core/api/pipeline.ts"
import type { Node } from "../../../core/api/plugin.ts"
import { documentedOptions } from "../../../core/engine/doc-comments.ts"
import mini from "../../../pipelines/mini.ts"
import paper from "../../../pipelines/paper.ts"
import quickstart from "../../../pipelines/quickstart.ts"
import {
  paperSettings,
  settingsOf,
  studyParameters,
  unsaid,
  watchedParameters,
} from "../../../pipelines/shared/parameters.ts"

/** All units that targets are made of. */
const unitsOf = (targets: Targets): readonly Node[] => {
  const found = new Set<Node>()
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit)
    else if (typeof value === "object" && value !== null && "members" in value) visit(value.members)
    else if (typeof value === "object" && value !== null && "node" in value) visit(value.node)
    else if (typeof value === "object" && value !== null && "plugin" in value && !found.has(value as Node)) {
      found.add(value as Node)
      Object.values((value as Node).inputs).forEach(visit)
    }
  }
  Object.values(targets).forEach(visit)
  return [...found]
}

const pipelines = {
  paper: { pipeline: paper as unknown as Pipeline, needed: {} },
  mini: {
    pipeline: mini as unknown as Pipeline,
    needed: { glue: "G", corpus: "C", vocabulary: "V", sts: "S" },
  },
  quickstart: { pipeline: quickstart as unknown as Pipeline, needed: {} },
}
type Name = keyof typeof pipelines

const few = { dropout: [0.1], lr: [1e-5, 2e-5], seeds: [1, 2] }
const built = (name: Name, given: Readonly<Record<string, unknown>> = {}) => {
  const { pipeline, needed } = pipelines[name]
  const nodes = unitsOf(pipeline.build(pipeline.parameters.assert({ ...needed, ...few, ...given })))
  for (const { problems } of nodes) expect(problems).toEqual([])
  return nodes
}

/** A parameter's value, the plugins whose units it must reach, and what it must be in their options. */
type Reach = readonly [name: string, value: unknown, plugins: readonly string[], options: object]
const reaches: readonly Reach[] = [
  ["simcseLr", 3e-5, ["simcse"], { lr: 3e-5 }],
  ["simcseBatch", 128, ["simcse"], { batchSize: 128 }],
  ["temperature", 0.1, ["simcse"], { temperature: 0.1 }],
  ["evalEvery", 250, ["simcse"], { evalEvery: 250 }],
  ["simcseSteps", 77, ["simcse"], { steps: 77 }],
  ["batch", 32, ["classification"], { batchSize: 32 }],
  ["epochs", 1.5, ["classification"], { epochs: 1.5 }],
  ["warmup", 0.2, ["classification"], { warmupRatio: 0.2 }],
  ["biasCorrection", true, ["classification"], { optimiser: { options: { biasCorrection: true } } }],
  ["epsilon", 1e-8, ["classification"], { optimiser: { options: { epsilon: 1e-8 } } }],
  ["decay", 0.01, ["classification"], { optimiser: { options: { weightDecay: 0.01 } } }],
  ["clip", 5, ["classification"], { clip: 5 }],
  ["fineTuneDropout", 0.2, ["classification"], { dropout: 0.2 }],
  ["pooler", "fresh", ["classification"], { reinitialise: 0 }],
  ["samples", 8, ["fisher"], { samples: 8 }],
  ["threshold", 0.9, ["fisher"], { threshold: 0.9 }],
]
/** From scratch, the model's positions follow it. */
const maxLength: Reach = ["maxLength", 64, ["rte"], { maxLength: 64 }]
const ofTheTask: readonly Reach[] = [["trainExamples", 100, ["rte"], { trainExamples: 100 }]]
const fromScratch: readonly Reach[] = [
  ["mlmSteps", 33, ["mlm"], { steps: 33 }],
  ["mlmBatch", 16, ["mlm"], { batchSize: 16 }],
  ["mlmLr", 0.007, ["mlm"], { lr: 0.007 }],
  ["mlmDropout", 0.3, ["mlm"], { dropout: 0.3 }],
]

describe("a parameter reaches every unit that it is for, and no other", () => {
  const cases = [
    ...[...reaches, ...ofTheTask, maxLength].map((reach) => ["paper", ...reach] as const),
    ...[...reaches, ...ofTheTask, ...fromScratch].map((reach) => ["mini", ...reach] as const),
    ...[...reaches, ...fromScratch].map((reach) => ["quickstart", ...reach] as const),
  ]
  test.each(cases)("%s: %s=%p reaches %p", (name, parameter, value, plugins, options) => {
    const controls = { controls: [] }
    const [before, after] = [built(name, controls), built(name, { ...controls, [parameter]: value })]
    const of = (nodes: readonly Node[], wanted: boolean) =>
      nodes.filter(({ plugin }) => plugins.includes(plugin.name) === wanted)
    const reached = of(after, true)
    expect(reached.length).toBeGreaterThan(0)
    expect(reached).toHaveLength(of(before, true).length)
    for (const node of reached) expect(node.options).toMatchObject(options)
    for (const node of of(before, true)) expect(node.options).not.toMatchObject(options)
    const others = (nodes: readonly Node[]) =>
      of(nodes, false).flatMap(({ plugin, options }) =>
        // The report names every setting.
        plugin.stage === "report" ? [] : JSON.stringify([plugin.name, options]),
      )
    expect(others(after)).toEqual(others(before))
  })

  test("those that make arms, runs and what is watched", () => {
    const labels = (given: Readonly<Record<string, unknown>>, plugin: string) =>
      built("paper", given).filter((node) => node.plugin.name === plugin).length
    expect(labels({ dropout: [0.1, 0.3], simcseSeeds: [1, 2, 3] }, "simcse")).toBe(6)
    expect(labels({ lr: [1e-5], seeds: [1, 2, 3] }, "classification")).toBe(6)
    expect(labels({ lr: [1e-5], rankSeeds: [1, 2, 3], watchedLr: [1e-5] }, "fisher")).toBe(2 * 3 + 2 * 2)
    expect(labels({ watchedArms: ["vanilla"], watchedLr: [1e-5], watchedSeeds: [2] }, "trajectory")).toBe(1)
    expect(labels({ simcseSeeds: [7, 8], watchedCheckpoints: [7, 8] }, "trajectory")).toBe((2 + 4) * 2)
  })

  test("the task has its own data and, if its labels are scores, its own fine-tuning", () => {
    const names = (task: string) => new Set(built("mini", { task }).map(({ plugin }) => plugin.name))
    expect([...names("sst2")]).toEqual(expect.arrayContaining(["sst2", "classification"]))
    expect([...names("stsb")]).toEqual(expect.arrayContaining(["stsb", "regression"]))
    expect([...names("stsb")]).not.toContain("classification")
  })

  test("SimCSE's checkpoint is chosen as asked, and its curve on the dev set is there either way", () => {
    const simcseOf = (given: Readonly<Record<string, unknown>>) =>
      built("paper", given).find(({ plugin }) => plugin.name === "simcse")!
    expect(simcseOf({}).options["selection"]).toBe("best")
    const last = simcseOf({ selection: "last" })
    expect(last.options["selection"]).toBe("last")
    expect(last.inputs["dev"]).toBeDefined()
  })

  test("mini takes a model in place of one from scratch", () => {
    const names = built("mini", { controls: [], model: "M", size: "mini", positions: 128 }).map(
      ({ plugin }) => plugin.name,
    )
    expect(names).toContain("pretrained")
    expect(names).not.toContain("mlm")
  })

  test("every setting of the study is tested here", () => {
    const tested = [...reaches, ...ofTheTask, maxLength].map(([name]) => name)
    const others = ["task", "dropout", "simcseSeeds", "selection", "controls", "lr", "seeds", "rankSeeds"]
    const watched = Object.keys(watchedParameters)
    const all = Object.keys(studyParameters).filter((name) => !watched.includes(name))
    expect([...tested, ...others, "simcseSteps"].sort()).toEqual(
      [...all.map((name) => name.replace(/\?$/, "")), "simcseSteps", "simcseSteps"].sort(),
    )
  })
})

describe("control arms", () => {
  const arms = (name: Name, given: Readonly<Record<string, unknown>>) =>
    built(name, given).find(({ plugin }) => plugin.name === "study-page")!.options as { arms: string[] }

  test("are added by name, each arm again with a fresh pooler at last", () => {
    expect(arms("paper", {}).arms).toEqual(["vanilla", "SimCSE(0.1)"])
    const all = ["vanilla", "SimCSE(0.1)", "SimCSE(0)", "MLM"]
    const controls = ["mlm", "no-dropout", "fresh-pooler"]
    expect(arms("paper", { controls }).arms).toEqual([
      ...all,
      ...all.map((arm) => `${arm} with a fresh pooler`),
    ])
    expect(arms("paper", { dropout: [0], controls: ["no-dropout"] }).arms).toEqual(["vanilla", "SimCSE(0)"])
    expect(() => built("paper", { pooler: "fresh", controls })).toThrow("fresh-pooler needs pooler=kept")
  })

  test("MLM goes on from the checkpoint as long as SimCSE, on its sentences, with its seeds and optimiser", () => {
    for (const name of ["paper", "mini", "quickstart"] as const) {
      const given = { controls: ["mlm"], simcseSeeds: [5, 6], simcseLr: 3e-5, simcseBatch: 32 }
      const nodes = built(name, given)
      const simcse = nodes.filter(({ plugin }) => plugin.name === "simcse")
      const mlm = nodes.filter(({ plugin, inputs }) => plugin.name === "mlm" && inputs["checkpoint"])
      expect(mlm).toHaveLength(2)
      for (const [i, { options, inputs }] of mlm.entries()) {
        const { dropout, temperature, maxLength, evalEvery, selection, ...training } = simcse[i]!
          .options as Record<string, unknown>
        const like = JSON.parse(JSON.stringify(training))
        expect(JSON.parse(JSON.stringify(options))).toMatchObject({
          ...like,
          dropout: 0.1,
          nextSentence: true,
        })
        expect(inputs["checkpoint"]).toBe(simcse[i]!.inputs["checkpoint"])
        expect(inputs["corpus"]).toBe(simcse[i]!.inputs["corpus"])
      }
    }
  })

  test("a fresh pooler is drawn for the same checkpoints, by the seed of the run", () => {
    const runs = built("paper", { controls: ["fresh-pooler"], lr: [1e-5], seeds: [3] }).filter(
      ({ plugin }) => plugin.name === "classification",
    )
    const described = runs.map(({ options, inputs }) => [
      (inputs["checkpoint"] as Node).plugin.name,
      (options as { reinitialise?: number }).reinitialise,
    ])
    expect(described).toEqual([
      ["pretrained", undefined],
      ["simcse", undefined],
      ["pretrained", 0],
      ["simcse", 0],
    ])
  })
})

test("mini's own model has room for the task's longest example and for halves of a sentence", () => {
  const positions = (maxLength: number) =>
    built("mini", { maxLength }).find(({ plugin, inputs }) => plugin.name === "mlm" && !inputs["checkpoint"])!
      .options
  expect(positions(64)).toMatchObject({ positions: 64 })
  expect(positions(16)).toMatchObject({ positions: 33 })
})

test("in quickstart and mini, vanilla's pooler is trained, and with fine-tuning's dropout", () => {
  for (const name of ["quickstart", "mini"] as const) {
    const nodes = built(name, { controls: [] })
    const dropouts = nodes.filter(({ plugin }) => ["mlm", "classification"].includes(plugin.name))
    for (const { options } of dropouts) expect(options).toMatchObject({ dropout: 0.1 })
    expect(nodes.find(({ plugin }) => plugin.name === "mlm")!.options).toMatchObject({ nextSentence: true })
  }
})

describe("the settings that the paper leaves unsaid", () => {
  test.each(["paper", "mini", "quickstart"] as const)("are marked in the help of %s", async (name) => {
    const path = join(import.meta.dir, "../../../pipelines", `${name}.ts`)
    const documented = await documentedOptions(pipelines[name].pipeline.parameters, path, name, "parameters")
    const marked = documented.filter(({ comment }) => comment.includes("(unsaid by the paper)"))
    const expected = documented.filter(({ name }) => unsaid.some((each) => each === name))
    if (name === "paper") {
      expect(marked).toEqual(expected)
      expect(marked.map(({ name }) => `${name}`).sort()).toEqual([...unsaid].sort())
    }
    for (const { comment } of documented) expect(comment.length).toBeGreaterThan(10)
  })

  test("the report has every setting beside the paper's, and says which the paper leaves unsaid", () => {
    const p = paper.parameters.assert({ clip: 5, seeds: [1, 2] })
    const settings = settingsOf(p, { model: paperSettings.model, task: "rte" })
    const differing = settings.filter(
      (each) => "paper" in each && JSON.stringify(each.ours) !== JSON.stringify(each.paper),
    )
    expect(differing).toEqual([
      { setting: "seeds", ours: [1, 2], paper: [...paperSettings.seeds], unsaid: false },
      { setting: "clip", ours: 5, paper: 1, unsaid: true },
    ])
    const names = settings.map(({ setting }) => setting)
    expect(names).toContain("simcseSteps")
    for (const path of ["glue", "corpus", "sts", "watchedArms"]) expect(names).not.toContain(path)
  })
})
