import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { cohort, type Targets } from "../../../core/api/pipeline.ts"
import { plugin } from "../../../core/api/plugin.ts"
import { Vocabulary } from "../../../core/artifacts/vocabulary.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import type { Computing } from "../../../core/engine/key.ts"
import { type Plan, planOf } from "../../../core/engine/plan.ts"
import { Store } from "../../../core/engine/store/store.ts"
import { writeFile } from "../../../core/io/files.ts"
import { source, walk } from "../sample/plugins.ts"
import { carryOut, estimating, inStore, madeBy, planSample, planSampleOn } from "../sample/study.ts"

let out: string
beforeEach(async () => {
  out = await fs.mkdtemp(join(tmpdir(), "kasosei-reason-"))
})
afterEach(() => fs.rm(out, { recursive: true, force: true }))

/** Reasons with the number of units that have them. */
const reasonsIn = ({ reasons, graph }: Plan) => {
  const all = graph.units.flatMap(({ key, plugin }) => {
    const reason = reasons.get(key)
    return reason === undefined ? [] : [`${plugin.name}: ${reason}`]
  })
  return Object.fromEntries([...Map.groupBy(all, (text) => text)].map(([text, { length }]) => [text, length]))
}

const run = (...settings: readonly string[]) =>
  inStore(out, Effect.flatMap(planSample(...settings), carryOut))
const reasons = async (...settings: readonly string[]) =>
  reasonsIn(await inStore(out, planSample(...settings)))

describe("a change of options", () => {
  test("in an empty store, everything has never been made", async () => {
    expect(Object.keys(await reasons())).toEqual([
      "sample-source: never made",
      "sample-walk: never made",
      "sample-watch: never made",
      "sample-listing: never made",
    ])
  })

  test("an option names its values; what follows from it names its input", async () => {
    await run()
    expect(await reasons("slow=1")).toEqual({
      "sample-walk: option slow 0 → 1": 4,
      "sample-watch: input run is new": 4,
      "sample-listing: input runs: 4 of 4 are new": 1,
    })
    expect(await reasons("count=6", "title=all")).toEqual({
      "sample-source: option count 5 → 6": 1,
      "sample-walk: input data is new": 4,
      "sample-watch: input run is new": 4,
      "sample-listing: option title sums → all": 1,
    })
  })

  test("of two long values, the reason has what differs", async () => {
    const title = (steps: number) =>
      `title=BERT of 2 layers, hidden size 64; ${steps} updates of 64 sentences each`
    await run(title(20))
    expect(Object.keys(await reasons(title(300)))).toEqual([
      "sample-listing: option title … size 64; 20 updates of 64 sen… → … size 64; 300 updates of 64 se…",
    ])
    expect(Object.keys(await reasons("title=short"))).toEqual([
      "sample-listing: option title BERT of 2 layers, hidden size … → short",
    ])
  })

  test("a seed or a value that is added has never been made; one that replaces another was changed", async () => {
    await run()
    expect(await reasons("seeds=1..3", "lr=1,2,4")).toEqual({
      "sample-walk: never made": 5,
      "sample-watch: never made": 5,
      "sample-listing: input runs: 5 of 9 are new": 1,
    })
    expect(await reasons("lr=1,4")).toMatchObject({ "sample-walk: option lr 2 → 4": 2 })
    expect(await reasons("lr=4,8")).toMatchObject({
      "sample-walk: option lr 1 → 4": 2,
      "sample-walk: option lr 2 → 8": 2,
    })
    expect(await reasons("seeds=7,8")).toMatchObject({
      "sample-walk: never made": 4,
      "sample-watch: never made": 4,
    })
  })

  test("an added value is new even if everything else changed with it", async () => {
    await run()
    expect(await reasons("slow=1", "seeds=1..3")).toMatchObject({
      "sample-walk: option slow 0 → 1": 4,
      "sample-walk: never made": 2,
      "sample-watch: input run is new": 4,
      "sample-watch: never made": 2,
    })
  })

  test("new steps of a probe replay its runs", async () => {
    await run("lr=1")
    expect(await reasons("lr=1", "observe=2")).toEqual({
      "sample-walk: new probes watch it": 2,
      "sample-watch: option steps 0,3 → 2": 2,
      "sample-listing: input seen: 2 of 2 are new": 1,
    })
  })
})

describe("a change of what computes", () => {
  const before: Computing = {
    arithmetic: "native",
    sources: { "core/tensor/ops/adamw.ts": "a", "plugins/a/rank.ts": "a", "plugins/b/rank.ts": "a" },
    packages: { tfjs: "4.1.0" },
  }
  test.each([
    [{ sources: { ...before.sources, "core/tensor/ops/adamw.ts": "b" } }, "source adamw.ts changed"],
    [{ sources: { ...before.sources, "plugins/b/rank.ts": "b" } }, "source b/rank.ts changed"],
    [{ sources: { ...before.sources, "core/new.ts": "a" } }, "source new.ts added"],
    [{ sources: {} }, "source adamw.ts removed and 2 more"],
    [{ packages: { tfjs: "4.1.1" } }, "package tfjs 4.1.0 → 4.1.1"],
    [{ packages: { tfjs: "4.1.1 (dependencies 0123)" } }, "package tfjs 4.1.0 → 4.1.1"],
    [{ packages: { tfjs: "4.1.0 (dependencies 0123)" } }, "dependencies of tfjs changed"],
    [{ arithmetic: "native bf16" }, "precision fp32 → bf16"],
    [{ arithmetic: "wasm", sources: {} }, "backend native → wasm"],
  ])("%j: %s", async (change, reason) => {
    await inStore(
      out,
      Effect.flatMap(planSampleOn(before, ["lr=1", "seeds=1"]), (plan) => carryOut(plan)),
    )
    const plan = await inStore(out, planSampleOn({ ...before, ...change }, ["lr=1", "seeds=1"]))
    expect(reasonsIn(plan)).toMatchObject({ [`sample-watch: ${reason}`]: 1 })
  })
})

describe("with two arms", () => {
  const planOfTargets = (targets: Targets) =>
    Effect.flatMap(graphOf(targets, { arithmetic: "cpu", sources: {}, packages: {} }), (graph) =>
      planOf(graph, estimating),
    )
  const arms = (...counts: readonly number[]) =>
    Object.fromEntries(
      counts.map((count, arm) => {
        const data = source({ count })
        return [`arm${arm}`, [cohort({ arm }, [1, 2], (seed) => walk({ data, seed, lr: 1 }))]]
      }),
    )

  test("a change of one of them is explained by its own predecessor, and a third arm has never been made", async () => {
    await inStore(out, Effect.flatMap(planOfTargets(arms(3, 4)), carryOut))
    expect(reasonsIn(await inStore(out, planOfTargets(arms(3, 5))))).toEqual({
      "sample-source: option count 4 → 5": 1,
      "sample-walk: input data is new": 2,
    })
    expect(reasonsIn(await inStore(out, planOfTargets(arms(3, 4, 5))))).toEqual({
      "sample-source: never made": 1,
      "sample-walk: never made": 2,
    })
  })

  test("an edited file is named, whatever its folder", async () => {
    const words = (path: string) =>
      plugin({
        name: "words",
        stage: "data",
        version: 1,
        module: import.meta.url,
        summary: "Words",
        options: type({ "+": "reject" }),
        takes: {},
        gives: Vocabulary,
        usesBackend: false,
        reads: () => [path],
        estimate: () => ({ artifact: { size: 0 }, cost: cost({}) }),
        run: () => Effect.die("never run"),
      })
    const path = join(out, "train.tsv")
    await fs.writeFile(path, "a")
    await inStore(
      out,
      Effect.gen(function* () {
        const { graph } = yield* planOfTargets({ words: words(path)({}) })
        const store = yield* Store
        const making = { backend: null, missing: [], seconds: 1, madeBy }
        yield* store.write(graph.units[0]!, making, (folder) => writeFile(join(folder, "a"), "1"))
      }),
    )
    const other = join(out, "folder", "train.tsv")
    await fs.mkdir(join(out, "folder"))
    await fs.copyFile(path, other)
    expect(reasonsIn(await inStore(out, planOfTargets({ words: words(other)({}) })))).toEqual({})
    // A path is read once per process.
    await fs.mkdir(join(out, "edited"))
    const edited = join(out, "edited", "train.tsv")
    await fs.writeFile(edited, "another text")
    expect(reasonsIn(await inStore(out, planOfTargets({ words: words(edited)({}) })))).toEqual({
      "words: file train.tsv changed": 1,
    })
  })
})

test("a unit that failed and a report that lacked it say so", async () => {
  await run("failAt=2", "seeds=1")
  expect(await reasons("failAt=2", "seeds=1")).toEqual({
    "sample-walk: failed before": 1,
    "sample-watch: failed before": 1,
    "sample-listing: lacked 2 results tried again": 1,
  })
})

test("a store of an earlier version, or a damaged entry, is no error: its units have never been made", async () => {
  await run("lr=1", "seeds=1")
  for (const name of await fs.readdir(join(out, "artifacts"))) {
    const path = join(out, "artifacts", name, "manifest.json")
    const { parts, ...older } = JSON.parse(await fs.readFile(path, "utf8"))
    expect(parts.read).toEqual({})
    await fs.writeFile(path, name.startsWith("sample-walk") ? "" : JSON.stringify(older))
  }
  expect(Object.keys(await reasons("lr=1", "seeds=1", "count=6", "observe=1", "title=x"))).toEqual([
    "sample-source: never made",
    "sample-walk: never made",
    "sample-watch: never made",
    "sample-listing: never made",
  ])
})
