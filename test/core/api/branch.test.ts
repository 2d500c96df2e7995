import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { type Branched, branch, optionsByStep } from "../../../core/api/branch.ts"
import { cohort, mapCohort } from "../../../core/api/pipeline.ts"
import type { Node } from "../../../core/api/plugin.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import { source, walk } from "../sample/plugins.ts"

const data = source({ count: 5 })
const run = walk({ data, seed: 1, lr: 1 })
const cpu = { arithmetic: "cpu", sources: {}, packages: {} }
const graph = (targets: Readonly<Record<string, Node>>) => graphOf(targets, cpu)
const keyOf = (node: Node) =>
  Effect.runSync(Effect.map(graph({ node }), ({ targets }) => targets["node"]![0]!.key))

describe("a branch of a node", () => {
  test("is a node of the same plugin, inputs and options, and has its change too", () => {
    const made = branch(run, { at: 2, set: { gain: 3 } })
    expect(made.plugin).toBe(run.plugin)
    expect(made.inputs).toEqual(run.inputs)
    expect(made.options).toEqual({ ...run.options, branch: [{ at: 2, set: { gain: 3 } }] })
    expect(run.options).not.toHaveProperty("branch")
    expect(keyOf(made)).not.toBe(keyOf(run))
    expect(keyOf(made)).toBe(keyOf(walk({ data, seed: 1, lr: 1, branch: [{ at: 2, set: { gain: 3 } }] })))
  })

  test("can be branched again", () => {
    const twice = branch(branch(run, { at: 2, set: { gain: 3 } }), { at: 1, set: {} })
    expect(twice.options["branch"]).toEqual([
      { at: 2, set: { gain: 3 } },
      { at: 1, set: {} },
    ])
  })

  test("that sets what is unknown or wrong is refused with the graph, by name and value", () => {
    const refusal = (set: object, at = 1) =>
      Effect.runSync(Effect.flip(graph({ made: branch(run, { at, set: { ...set } }) }))).message
    expect(refusal({ gian: 2 })).toContain(
      "there is no option branch[0].set.gian; did you mean branch[0].set.gain?",
    )
    expect(refusal({ gain: "much" })).toContain('branch[0].set.gain must be a number (was "much")')
  })

  test("is refused where options cannot change", () => {
    expect(() => branch(data, { at: 1, set: {} })).toThrow(
      "a branch of sample-source: expected a run whose options can change during training, such as one of fine-tuning",
    )
  })

  test("of a cohort keeps its labels and seeds, and may have labels more", () => {
    const runs = cohort({ arm: "vanilla" }, [1, 2], (seed) => walk({ data, seed, lr: 1 }))
    const set = { gain: 2 }
    const made = mapCohort(runs, (run) => branch(run, { at: 3, set }), { branch: "double" })
    expect(made.labels).toEqual({ arm: "vanilla", branch: "double" })
    expect(
      made.members.map(({ seed, node }) => [seed, node.options["seed"], node.options["branch"]]),
    ).toEqual([
      [1, 1, [{ at: 3, set }]],
      [2, 2, [{ at: 3, set }]],
    ])
    expect(runs.labels).toEqual({ arm: "vanilla" })
    expect(mapCohort(runs, (run) => run).labels).toEqual(runs.labels)
  })
})

describe("the options by step", () => {
  interface Options extends Branched {
    readonly lr: number
    readonly clip?: number
  }
  const base: Options = { lr: 1, clip: 5 }

  test("are those given, from step 0 on, without a branch", () => {
    expect(optionsByStep(base)).toEqual([{ from: 0, options: base }])
  })

  test("change at each branch's step, the later branch last", () => {
    const branch = [
      { at: 7, set: { lr: 2 } },
      { at: 4, set: { lr: 3, clip: null } },
      { at: 7, set: {} },
    ]
    expect(optionsByStep({ ...base, branch })).toEqual([
      { from: 0, options: { lr: 1, clip: 5, branch } },
      { from: 4, options: { lr: 3, branch } },
      { from: 7, options: { lr: 3, branch } },
    ])
  })

  test("of a branch at step 0 are never those given", () => {
    const branch = [{ at: 0, set: { lr: 9 } }]
    expect(optionsByStep({ ...base, branch })).toEqual([{ from: 0, options: { lr: 9, clip: 5, branch } }])
  })
})
