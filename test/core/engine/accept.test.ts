import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { UnitFailure } from "../../../core/api/failure.ts"
import { cohort, mapCohort } from "../../../core/api/pipeline.ts"
import { plugin } from "../../../core/api/plugin.ts"
import {
  adopt,
  adoptionsOf,
  compareSample,
  sampleOf,
  sampleSeconds,
  storedOf,
} from "../../../core/engine/accept.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import type { Computing } from "../../../core/engine/key.ts"
import { type Plan, planOf, unitStates } from "../../../core/engine/plan.ts"
import { Store } from "../../../core/engine/store/store.ts"
import { listing, source, walk, watchSum } from "../sample/plugins.ts"
import { carryOut, estimating, inStore } from "../sample/study.ts"

/** What the code of `scaled` computes: an edit of it. */
let factor = 2
/** How many numbers it was computed from, call by call. */
let computed: number[] = []
let out: string
beforeEach(async () => {
  factor = 2
  computed = []
  out = await fs.mkdtemp(join(tmpdir(), "kasosei-accept-"))
})
afterEach(() => fs.rm(out, { recursive: true, force: true }))

const scaled = plugin({
  name: "scaled",
  stage: "pretrain",
  version: 1,
  module: import.meta.url,
  summary: "Numbers times a factor; diverges if it is given seven",
  options: type({ "+": "reject" }),
  takes: { data: source.gives },
  gives: source.gives,
  usesBackend: true,
  estimate: (_options, { data }) => ({ artifact: data, cost: cost({ flops: data.count * 1e9 }) }),
  run: ({ inputs }) => {
    computed.push(inputs.data.length)
    return inputs.data.length === 7
      ? Effect.fail(new UnitFailure({ outcome: "diverged", reason: "seven", step: factor }))
      : Effect.succeed(inputs.data.map((number) => number * factor))
  },
})

const computing = (content: string, version = "1.0.0"): Computing => ({
  arithmetic: "cpu",
  sources: { "core/tensor/ops/adamw.ts": content, "core/tensor/ops/gelu.ts": "g", "plugins/gelu.ts": "g" },
  packages: { tfjs: version },
})

/** Per count: source → scaled → two runs, watched by a probe that computes on the backend; and a report of all. */
const plan = Effect.fnUntraced(function* (from: Computing, counts: readonly number[] = [3, 4]) {
  const runs = counts.map((count) => {
    const data = scaled({ data: source({ count }) })
    return cohort({ count }, [1, 2], (seed) => walk({ data, seed, lr: 1 }))
  })
  const seen = runs.map((each) => mapCohort(each, (run) => watchSum({ run, steps: [1] })))
  const graph = yield* graphOf({ report: listing({ runs, seen, title: "all" }) }, from)
  return yield* planOf(graph, estimating)
})

const accepting = Effect.fnUntraced(function* (now: Plan, ...names: readonly string[]) {
  const adoptions = yield* adoptionsOf(now, names)
  const sample = sampleOf(adoptions, estimating)
  const scratch = join(out, "scratch", "accept")
  yield* compareSample(now, adoptions, sample.adoptions, scratch, (again) =>
    Effect.provide(carryOut(again), Store.layer(scratch)),
  )
  yield* adopt(adoptions, sample.adoptions)
  return { adoptions, sample }
})

const statesIn = (now: Plan) =>
  [...unitStates(now)].flatMap(([{ plugin, label }, state]) =>
    state === "done" ? [] : [`${label || plugin}: ${state}`],
  )

const made = (counts?: readonly number[], from = computing("before")) =>
  inStore(out, Effect.flatMap(plan(from, counts), carryOut))

const artifacts = async () => {
  const names = (await fs.readdir(join(out, "artifacts"))).sort()
  const read = async (name: string, file: string) =>
    JSON.parse(await fs.readFile(join(out, "artifacts", name, file), "utf8"))
  return Promise.all(
    names.map(async (name) => {
      const files = await fs.readdir(join(out, "artifacts", name))
      return read(name, files.includes("manifest.json") ? "manifest.json" : "divergence.json")
    }),
  )
}

describe("an edit that gives the same", () => {
  test("keeps everything but the report, under today's keys, and what was made before stays", async () => {
    await made()
    const before = await artifacts()
    computed = []
    const again = await inStore(
      out,
      Effect.gen(function* () {
        const now = yield* plan(computing("after"))
        const { adoptions, sample } = yield* accepting(now, "adamw.ts")
        expect(adoptions).toHaveLength(10)
        // Of each plugin on the backend, all: they are cheap.
        expect(sample.adoptions.map(({ unit }) => unit.plugin.name).sort()).toEqual([
          ...new Array(2).fill("sample-watch"),
          ...new Array(2).fill("sample-watch"),
          ...new Array(2).fill("scaled"),
        ])
        const then = yield* plan(computing("after"))
        expect(statesIn(then)).toEqual(["sample-listing title=all: to do"])
        return then
      }),
    )
    expect(computed.sort()).toEqual([3, 4])
    const reasons = again.graph.units.map(({ key, plugin }) => `${plugin.name}: ${again.reasons.get(key)}`)
    expect(reasons.slice(0, 4)).toEqual([
      "sample-source: undefined",
      "scaled: accepted adamw.ts",
      "sample-walk: accepted with its inputs",
      "sample-walk: accepted with its inputs",
    ])
    const after = await artifacts()
    expect(after).toHaveLength(before.length + 10)
    for (const each of before) expect(after).toContainEqual(each)
    const [scaledKey] = again.graph.units.flatMap(({ key, plugin }) =>
      plugin.name === "scaled" ? [key] : [],
    )
    expect(after.find(({ key }) => key === scaledKey).accepted).toEqual([
      {
        from: expect.stringMatching(/^[0-9a-f]{64}$/),
        changed: ["core/tensor/ops/adamw.ts"],
        when: expect.any(String),
        compared: expect.arrayContaining([scaledKey]),
      },
    ])
    // The artifacts can be read, and the report is then as it was.
    const summary = await inStore(out, carryOut(again))
    expect([summary.made, summary.reused, summary.failures]).toEqual([1, 12, []])
  })

  test("of a probe is accepted where nothing else has needed the runs that it watches", async () => {
    const watched = Effect.fnUntraced(function* (from: Computing, steps: readonly number[] = [1]) {
      const run = walk({ data: source({ count: 3 }), seed: 1, lr: 1 })
      return yield* planOf(yield* graphOf({ seen: watchSum({ run, steps: [...steps] }) }, from), estimating)
    })
    const before = await inStore(out, watched(computing("before")))
    expect([...before.reasons.values()]).toEqual(["never made", "only probes need it", "never made"])
    await inStore(out, carryOut(before))
    await inStore(
      out,
      Effect.gen(function* () {
        const { adoptions } = yield* accepting(yield* watched(computing("after")), "adamw.ts")
        expect(adoptions.map(({ unit }) => unit.plugin.name)).toEqual(["sample-watch"])
        expect(statesIn(yield* watched(computing("after")))).toEqual(["sample-walk lr=1 seed=1: absent"])
        const { graph, reasons } = yield* watched(computing("after"), [2])
        expect(graph.units.map(({ key }) => reasons.get(key))).toEqual([
          undefined,
          "only probes need it",
          "option steps 1 → 2",
        ])
      }),
    )
  })

  test("can be accepted after another one, and the manifest keeps both", async () => {
    await made([3])
    for (const content of ["after", "later"]) {
      await inStore(
        out,
        Effect.flatMap(plan(computing(content), [3]), (now) => accepting(now, "adamw.ts")),
      )
    }
    const last = (await artifacts()).filter(({ accepted }) => accepted?.length === 2)
    expect(last.map(({ plugin }) => plugin).sort()).toEqual([
      "sample-walk",
      "sample-walk",
      "sample-watch",
      "sample-watch",
      "scaled",
    ])
  })

  test("of a package is accepted by its name", async () => {
    await made([3])
    const states = await inStore(
      out,
      Effect.gen(function* () {
        yield* accepting(yield* plan(computing("before", "1.0.1"), [3]), "tfjs")
        return statesIn(yield* plan(computing("before", "1.0.1"), [3]))
      }),
    )
    expect(states).toEqual(["sample-listing title=all: to do"])
  })

  test("keeps divergences, which are compared as well", async () => {
    await made([7])
    await inStore(
      out,
      Effect.flatMap(plan(computing("after"), [7]), (now) => accepting(now, "adamw.ts")),
    )
    const stored = await inStore(out, plan(computing("after"), [7]))
    const [diverged] = stored.graph.units.filter(({ plugin }) => plugin.name === "scaled")
    expect(stored.stored.get(diverged!.key)).toMatchObject({
      status: "diverged",
      record: { step: 2, accepted: [{ changed: ["core/tensor/ops/adamw.ts"] }] },
    })
  })

  test("is finished by the next time if the process is killed in between", async () => {
    await made()
    const states = await inStore(
      out,
      Effect.gen(function* () {
        const now = yield* plan(computing("after"))
        const adoptions = yield* adoptionsOf(now, ["adamw.ts"])
        yield* adopt(adoptions.slice(0, 4), [])
        const { adoptions: rest } = yield* accepting(yield* plan(computing("after")), "adamw.ts")
        expect(rest).toHaveLength(adoptions.length - 4)
        return statesIn(yield* plan(computing("after")))
      }),
    )
    expect(states).toEqual(["sample-listing title=all: to do"])
  })

  test("is shown by a plan without being accepted", async () => {
    await made([3])
    const shown = await inStore(
      out,
      Effect.gen(function* () {
        const now = yield* plan(computing("after"), [3])
        const adoptions = yield* adoptionsOf(now, ["adamw.ts"])
        return yield* planOf(now.graph, estimating, storedOf(adoptions, "now"))
      }),
    )
    expect(statesIn(shown)).toEqual(["sample-listing title=all: to do"])
    expect(statesIn(await inStore(out, plan(computing("after"), [3])))).not.toEqual(statesIn(shown))
  })
})

describe("an edit that gives something else", () => {
  const refusal = (counts: readonly number[]) =>
    inStore(
      out,
      Effect.flatMap(plan(computing("after"), counts), (now) => Effect.flip(accepting(now, "adamw.ts"))),
    )

  test("is refused with the unit and the file, and nothing is accepted", async () => {
    await made()
    const before = await artifacts()
    factor = 3
    const error = await refusal([3, 4])
    expect(error.message).toContain("nothing was accepted")
    expect(error.message).toContain("scaled count=3: computed again, numbers.json is different")
    expect(await artifacts()).toEqual(before)
  })

  test("is refused if a run diverges elsewhere than before", async () => {
    await made([7])
    factor = 5
    expect((await refusal([7])).message).toContain(
      "it diverged at step 5; before, it diverged at step 2 (seven)",
    )
  })
})

describe("what is accepted", () => {
  const refused = (from: Computing, ...names: readonly string[]) =>
    inStore(
      out,
      Effect.flatMap(plan(from, [3]), (now) =>
        Effect.map(Effect.flip(adoptionsOf(now, names)), ({ message }) => message),
      ),
    )

  test("is named by a path, its end, a plugin or a package; anything else is refused", async () => {
    await made([3])
    expect(await refused(computing("after"), "adamv.ts")).toContain(
      "adamv.ts: expected a source, a plugin or a package of this pipeline, found none; did you mean adamw.ts?",
    )
    expect(await refused(computing("after"), "gelu.ts")).toContain(
      "gelu.ts: expected a longer path, found core/tensor/ops/gelu.ts, plugins/gelu.ts",
    )
    // Half a name is not the end of a path.
    expect(await refused(computing("after"), "w.ts")).toContain("found none")
  })

  test("is, of several sources with the same end, the one that was edited, as the plan names it", async () => {
    await made([3])
    const before = computing("before")
    const after = { ...before, sources: { ...before.sources, "plugins/gelu.ts": "edited" } }
    const adopted = await inStore(
      out,
      Effect.flatMap(plan(after, [3]), (now) => adoptionsOf(now, ["gelu.ts"])),
    )
    expect(adopted.map(({ changed }) => changed)).toContainEqual(["plugins/gelu.ts"])
    const both = { ...after, sources: { ...after.sources, "core/tensor/ops/gelu.ts": "edited" } }
    expect(await refused(both, "gelu.ts")).toContain("expected a longer path")
  })

  test("does not cover another change, which is named", async () => {
    await made([3])
    const both: Computing = { ...computing("after", "1.0.1") }
    expect(await refused(both, "adamw.ts")).toContain(
      "differs in tfjs: if that gives the same too, add --accept tfjs",
    )
    const adopted = await inStore(
      out,
      Effect.flatMap(plan(both, [3]), (now) => adoptionsOf(now, ["adamw.ts", "tfjs"])),
    )
    expect(adopted).toHaveLength(5)
  })

  test("does not cover other options or other inputs", async () => {
    await made([3])
    const adopted = await inStore(
      out,
      Effect.flatMap(plan(computing("after"), [4]), (now) => adoptionsOf(now, ["adamw.ts"])),
    )
    expect(adopted).toEqual([])
  })
})

test("of what would take longer than the limit, the cheapest unit of each plugin is computed again", async () => {
  await made([3, 4, 5])
  const sample = await inStore(
    out,
    Effect.gen(function* () {
      const now = yield* plan(computing("after"), [3, 4, 5])
      const adoptions = yield* adoptionsOf(now, ["adamw.ts"])
      // At 20 MFLOP/s, a unit of 3 GFLOP takes 150 s, and a probe a fraction of a second.
      return sampleOf(adoptions, { ...estimating, backend: "other", flopsPerSecond: () => 2e7 })
    }),
  )
  expect(sample.seconds).toBeGreaterThan(sampleSeconds)
  expect(
    sample.adoptions.map(({ unit }) => unit.label).filter((label) => label.startsWith("scaled")),
  ).toEqual(["scaled count=3"])
})
