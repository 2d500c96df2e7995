import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { component, componentOf } from "../../../core/api/component.ts"
import { cost } from "../../../core/api/cost.ts"
import { cohort } from "../../../core/api/pipeline.ts"
import { type Cohort, cohorts, type Node, optional, plugin } from "../../../core/api/plugin.ts"
import type { Stage } from "../../../core/api/stage.ts"
import type { ArtifactKind } from "../../../core/artifacts/kind.ts"
import { observationsOf } from "../../../core/artifacts/observations.ts"
import { Page } from "../../../core/artifacts/page.ts"
import type { TrainingLength, Traits } from "../../../core/artifacts/traits.ts"
import { differencesOf } from "../../../core/engine/differences.ts"
import { graphOf } from "../../../core/engine/graph.ts"

const folder = mkdtempSync(join(tmpdir(), "differences-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const kind = <N extends string, E>(name: N): ArtifactKind<N, never, never, E> => ({
  name,
  write: () => Effect.void,
  read: () => Effect.die("never read"),
})
interface Past {
  readonly traits?: Traits
  readonly training?: TrainingLength
}
const Text = kind<"text", object>("text")
const Model = kind<"model", Past>("model")
const Walk = kind<"walk", Past>("walk")
const Rows = observationsOf(type({ value: "number" }))

const common = { version: 1, module: import.meta.url, summary: "", usesBackend: false } as const
const free = cost({})

const text = plugin({
  ...{ ...common, name: "text", stage: "data" },
  options: type({ "+": "reject", words: "number = 1", "path?": "string" }),
  takes: {},
  gives: Text,
  reads: ({ path }) => (path === undefined ? [] : [path]),
  estimate: () => ({ artifact: {}, cost: free }),
  run: () => Effect.never,
})

const rule = component({
  ...{ role: "rule", name: "rule", module: import.meta.url },
  options: type({ "+": "reject", momentum: "number = 0" }),
  make: () => ({}),
})

/** A method of training, which leaves in its model the traits that it is said to. */
const method = (name: string, traits: (before: Traits, gain: number) => Traits, training?: TrainingLength) =>
  plugin({
    ...{ ...common, name, stage: "pretrain" },
    options: type({
      "+": "reject",
      seed: "number = 0",
      gain: "number = 1",
      rule: componentOf<ReturnType<typeof rule>>("rule").default(() => rule({})),
    }),
    takes: { text: Text, model: optional(Model), dev: optional(Text) },
    gives: Model,
    estimate: ({ gain }, { model }) => ({
      artifact: { traits: traits(model?.traits ?? { head: "new" }, gain), ...(training && { training }) },
      cost: free,
    }),
    run: () => Effect.never,
  })
const plain = method("plain", (before) => before, { updates: "5" })
const other = method("other", (before) => ({ ...before, head: "drawn" }), { updates: "7" })
const raising = method("raising", (before, gain) => ({ ...before, head: `raised by ${gain}` }))

const walk = plugin({
  ...{ ...common, name: "walk", stage: "finetune" as Stage },
  options: type({ "+": "reject", seed: "number", lr: "number = 1", fresh: "boolean = false" }),
  takes: { text: Text, model: Model },
  gives: Walk,
  estimate: ({ fresh }, { model }) => ({
    artifact: { traits: { ...model.traits, ...(fresh ? { head: "fresh" } : {}) } },
    cost: free,
  }),
  run: () => Effect.never,
})
const kept = plugin({
  ...{ ...common, name: "kept", stage: "pretrain" },
  options: type({ "+": "reject" }),
  takes: { walk: Walk },
  gives: Model,
  estimate: (_, { walk }) => ({ artifact: walk, cost: free }),
  run: () => Effect.never,
})
const look = plugin({
  ...{ ...common, name: "look", stage: "probe" },
  options: type({ "+": "reject", samples: "number = 1" }),
  takes: { walk: Walk },
  gives: Rows,
  estimate: () => ({ artifact: { rows: 1, columns: ["value"] }, cost: free }),
  run: () => Effect.never,
})
const report = plugin({
  ...{ ...common, name: "report", stage: "report" },
  options: type({ "+": "reject" }),
  takes: { of: cohorts(Walk), seen: cohorts(Rows) },
  gives: Page,
  estimate: () => ({ artifact: {}, cost: free }),
  run: () => Effect.never,
})

const some = text({})
const base = plain({ text: some })
/** What the cohorts of `of`, or of `seen`, differ in: the first from the second. */
const differ = async (input: "of" | "seen", given: readonly Cohort[]) => {
  const nodes = { of: [], seen: [], [input]: given } as Parameters<typeof report>[0]
  const computing = { arithmetic: "cpu", sources: {}, packages: {} }
  const graph = await Effect.runPromise(graphOf({ report: report(nodes) }, computing))
  return differencesOf(graph.targets["report"]![0]!)({ input, index: 0 }, { input, index: 1 })
}
type WalkNode = ReturnType<typeof walk>
/** What two walks of one seed differ in, in both directions. */
const ofWalks = async (first: WalkNode, second: WalkNode) => {
  const cohortOf = (node: WalkNode, arm: string): Cohort<WalkNode> => cohort({ arm }, [1], () => node)
  const found = await differ("of", [cohortOf(first, "a"), cohortOf(second, "b")])
  const back = await differ("of", [cohortOf(second, "b"), cohortOf(first, "a")])
  const turned = back.map(({ name, first: second, second: first }) => ({ name, first, second }))
  expect(turned.toSorted(byName)).toEqual(found.toSorted(byName))
  return found.map(({ name, first, second }) => `${name}: ${first} / ${second}`)
}
const byName = (a: { readonly name: string }, b: { readonly name: string }) => (a.name < b.name ? -1 : 1)
type ModelNode = ReturnType<typeof plain>
const from = (model: ModelNode, options: { lr?: number; fresh?: boolean; seed?: number } = {}) =>
  walk({ text: some, model, seed: 1, ...options })
const further = (model: ModelNode, options: { gain?: number; seed?: number } = {}) =>
  plain({ text: some, model, ...options })

test("the same unit on both sides differs in nothing", async () => {
  expect(await ofWalks(from(base), from(plain({ text: text({ words: 1 }), gain: 1 })))).toEqual([])
})

test("an option differs where its unit is: in fine-tuning, further training or pretraining", async () => {
  expect(await ofWalks(from(base, { lr: 1 }), from(base, { lr: 2 }))).toEqual(["lr of fine-tuning: 1 / 2"])
  expect(await ofWalks(from(further(base, { gain: 2 })), from(further(base, { gain: 3 })))).toEqual([
    "gain of further training: 2 / 3",
  ])
  expect(await ofWalks(from(base), from(plain({ text: some, gain: 4 })))).toEqual([
    "gain of pretraining: 1 / 4",
  ])
})

test("of a component, only what differs is told", async () => {
  const of = (momentum: number) => from(plain({ text: some, rule: rule({ momentum }) }))
  expect(await ofWalks(of(0.5), of(0.9))).toEqual([
    "rule of pretraining: rule.momentum 0.5 / rule.momentum 0.9",
  ])
})

test("a seed is an option like any other", async () => {
  expect(await ofWalks(from(base, { seed: 1 }), from(base, { seed: 9 }))).toEqual([
    "seed of fine-tuning: 1 / 9",
  ])
})

test("data that many units take are named once, whatever of them differs", async () => {
  const of = (words: Node<typeof Text>) => walk({ text: words, model: plain({ text: words }), seed: 1 })
  expect(await ofWalks(of(some), of(text({ words: 2 })))).toEqual(["text: words 1 / words 2"])
})

test("files of the same content differ in nothing, wherever they are", async () => {
  const [one, copy, another] = ["one", "copy", "another"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  for (const [path, content] of [
    [one, "a"],
    [copy, "a"],
    [another, "b"],
  ] as const)
    writeFileSync(path, content)
  const of = (path: string) => from(plain({ text: text({ path }) }))
  expect(await ofWalks(of(one), of(copy))).toEqual([])
  expect(await ofWalks(of(one), of(another))).toEqual([`text: path ${one} / path ${another}`])
})

test("training that only one side has is one difference, and what it has of its own is none", async () => {
  expect(await ofWalks(from(further(base, { gain: 3, seed: 8 })), from(base))).toEqual([
    "further training: plain / none",
  ])
  expect(await ofWalks(from(further(further(base))), from(base))).toEqual(["further training: plain / none"])
})

test("what lies below training that only one side has is compared nevertheless", async () => {
  expect(await ofWalks(from(further(plain({ text: some, seed: 5 }))), from(base))).toEqual([
    "further training: plain / none",
    "seed of pretraining: 5 / 0",
  ])
})

test("a chain of tasks is training that the other side lacks", async () => {
  expect(await ofWalks(from(kept({ walk: from(base) })), from(base))).toEqual([
    "further training: walk → kept / none",
  ])
})

test("two methods in one place: their names, options of both, and how long they trained", async () => {
  const found = await ofWalks(
    from(further(base, { gain: 2 })),
    from(other({ text: some, model: base, gain: 3 })),
  )
  expect(found).toEqual([
    "further training: plain / other",
    "gain of further training: 2 / 3",
    "updates of further training: 5 / 7",
    "head: new / drawn",
  ])
})

test("an input that only one side has", async () => {
  expect(await ofWalks(from(plain({ text: some, model: base, dev: some })), from(further(base)))).toEqual([
    "dev of further training: text / none",
  ])
})

test("a trait that further training brings is told besides it", async () => {
  expect(await ofWalks(from(other({ text: some, model: base })), from(base))).toEqual([
    "further training: other / none",
    "head: drawn / new",
  ])
})

test("a trait that follows from an option is not told besides that", async () => {
  const raised = (gain: number) => from(raising({ text: some, model: base, gain }))
  expect(await ofWalks(raised(1), raised(2))).toEqual(["gain of further training: 1 / 2"])
  expect(await ofWalks(from(base, { fresh: true }), from(base))).toEqual([
    "fresh of fine-tuning: true / false",
  ])
})

test("a trait that later training makes the same on both sides is no difference", async () => {
  expect(
    await ofWalks(from(other({ text: some, model: base }), { fresh: true }), from(base, { fresh: true })),
  ).toEqual(["further training: other / none"])
})

test("what says nothing of traits hands on those of what it is made from", async () => {
  const seen = (model: ModelNode, samples: number) =>
    cohort({ arm: `${samples}` }, [1], () => look({ walk: from(model), samples }))
  const found = await differ("seen", [seen(other({ text: some, model: base }), 1), seen(base, 2)])
  expect(found.map(({ name }) => name)).toEqual(["samples of look", "further training", "head"])
})

test("members are compared by seed, and values of a name are told together", async () => {
  const of = (arm: string, seeds: readonly number[], lr: (seed: number) => number) =>
    cohort({ arm }, seeds, (seed) => walk({ text: some, model: base, seed, lr: lr(seed) }))
  const found = await differ("of", [
    of("a", [5, 4, 3, 2, 1], () => 1),
    of("b", [1, 2, 3, 4, 9], (seed) => 10 * seed),
  ])
  expect(found).toEqual([{ name: "lr of fine-tuning", first: "1", second: "40, 30, 20, …" }])
})

test("seeds that only one side has are compared with nothing", async () => {
  const of = (arm: string, seed: number, lr: number) =>
    cohort({ arm }, [seed], () => walk({ text: some, model: base, seed, lr }))
  expect(await differ("of", [of("a", 1, 1), of("b", 2, 2)])).toEqual([])
})

test("a pair that many members have in common is looked at once", async () => {
  let looks = 0
  const seeds = Array.from({ length: 20 }, (_, i) => i)
  const looked = [1, 2].map((gain) => raising({ text: some, model: base, gain }))
  const given = looked.map((model, arm) =>
    cohort({ arm: `${arm}` }, seeds, (seed) => walk({ text: some, model, seed })),
  )
  const computing = { arithmetic: "cpu", sources: {}, packages: {} }
  const graph = await Effect.runPromise(graphOf({ report: report({ of: given, seen: [] }) }, computing))
  for (const unit of graph.units.filter(({ plugin }) => plugin.name === "raising")) {
    const { options } = unit
    Object.defineProperty(unit, "options", {
      get: () => {
        looks++
        return options
      },
    })
  }
  const differences = differencesOf(graph.targets["report"]![0]!)
  const first = differences({ input: "of", index: 0 }, { input: "of", index: 1 })
  expect(first.map(({ name }) => name)).toEqual(["gain of further training"])
  const once = looks
  expect(once).toBeGreaterThan(0)
  expect(differences({ input: "of", index: 1 }, { input: "of", index: 0 })).toHaveLength(1)
  expect(looks).toBe(2 * once)
})
