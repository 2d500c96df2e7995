import { afterEach, beforeEach, expect, test } from "bun:test"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { cost } from "../../../core/api/cost.ts"
import { plugin } from "../../../core/api/plugin.ts"
import { Progress } from "../../../core/api/progress.ts"
import type { ArtifactKind } from "../../../core/artifacts/kind.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import { remaining, runJob } from "../../../core/engine/job.ts"
import { jobFor, planOf } from "../../../core/engine/plan.ts"
import { freeFinished } from "../../../core/engine/store/scratch.ts"
import { Store } from "../../../core/engine/store/store.ts"
import { attempt, writeFile } from "../../../core/io/files.ts"
import { mayMount, smallDisk } from "../../small-disk.ts"
import { carryOut, inStore, origin } from "../sample/study.ts"

let out: string
beforeEach(() => {
  out = fs.mkdtempSync(join(tmpdir(), "kasosei-job-"))
})
afterEach(() => fs.rmSync(out, { recursive: true, force: true }))

const Copy: ArtifactKind<"copy", string, string, null> = {
  name: "copy",
  write: (folder, text) =>
    attempt("write", folder, async () => fs.writeFileSync(join(folder, "copy.txt"), text)),
  read: (folder) => attempt("read", folder, async () => fs.readFileSync(join(folder, "copy.txt"), "utf8")),
}

/** Copies a file, which somebody edits meanwhile so that it holds `edit`. */
const copying = plugin({
  name: "sample-copying",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "",
  options: type({ "+": "reject", path: "string", edit: "string" }),
  takes: {},
  gives: Copy,
  usesBackend: false,
  reads: ({ path }) => [path],
  estimate: () => ({ artifact: null, cost: cost({}) }),
  run: ({ options: { path, edit } }) =>
    Effect.sync(() => {
      const text = fs.readFileSync(path, "utf8")
      fs.writeFileSync(path, edit)
      return text
    }),
})

const attemptCopy = (path: string, edit: string) =>
  inStore(
    out,
    Effect.gen(function* () {
      const computing = { arithmetic: "cpu", sources: {}, packages: {} }
      const graph = yield* graphOf({ copy: copying({ path, edit }) }, computing)
      const plan = yield* planOf(graph, {
        backend: "cpu",
        flopsPerSecond: () => 1e9,
        threads: () => 1,
        processes: 1,
      })
      const summary = yield* carryOut(plan)
      const stored = yield* (yield* Store).stored(graph.units[0]!)
      return { failures: summary.failures.map(({ reason }) => reason), status: stored.status }
    }),
  )

test("a unit whose file is edited while it runs is not stored under the key of the file's earlier content", async () => {
  const path = join(out, "a.txt")
  fs.writeFileSync(path, "one")
  expect(await attemptCopy(path, "two")).toEqual({
    failures: [`cannot use ${path}: it was edited after the start. Start again to use the new version`],
    status: "absent",
  })
})

test("a file that is written again with the same content is not an edit", async () => {
  const path = join(out, "b.txt")
  fs.writeFileSync(path, "one")
  expect(await attemptCopy(path, "one")).toEqual({ failures: [], status: "done" })
})

test("what a unit took before it was stopped counts, too", async () => {
  let begun = Promise.withResolvers<void>()
  const end = Promise.withResolvers<void>()
  const waiting = plugin({
    name: "sample-waiting",
    stage: "data",
    version: 1,
    module: import.meta.url,
    summary: "",
    options: type({ "+": "reject" }),
    takes: {},
    gives: Copy,
    usesBackend: false,
    estimate: () => ({ artifact: null, cost: cost({}) }),
    run: () =>
      Effect.promise(async () => {
        begun.resolve()
        await end.promise
        return "text"
      }),
  })
  const took = await inStore(
    out,
    Effect.gen(function* () {
      const graph = yield* graphOf({ waiting: waiting({}) }, { arithmetic: "cpu", sources: {}, packages: {} })
      const start = Effect.gen(function* () {
        begun = Promise.withResolvers()
        const plan = yield* planOf(graph, {
          backend: "cpu",
          flopsPerSecond: () => 1e9,
          threads: () => 1,
          processes: 1,
        })
        const fiber = yield* Effect.forkChild(carryOut(plan))
        yield* Effect.promise(() => begun.promise)
        return fiber
      })
      const stopped = yield* start
      yield* TestClock.adjust("4 seconds")
      // The date is corrected.
      yield* TestClock.setTime(-3_600_000)
      yield* Fiber.interrupt(stopped)
      const resumed = yield* start
      yield* TestClock.adjust("3 seconds")
      end.resolve()
      yield* Fiber.join(resumed)
      const stored = yield* (yield* Store).stored(graph.units[0]!)
      return stored.status === "done" ? stored.manifest.seconds : undefined
    }).pipe(Effect.provide(TestClock.layer())),
  )
  expect(took).toBe(7)
  expect(fs.readdirSync(join(out, "scratch"))).toEqual([])
})

test.skipIf(!mayMount)("a disk that is full for a while costs nothing that was saved before", async () => {
  const disk = smallDisk(400)!
  const filler = join(disk.folder, "filler")
  const seen: string[] = []
  /** Saves what it has done, then fills the disk, unless it finds what it saved. */
  const saving = plugin({
    name: "sample-saving",
    stage: "data",
    version: 1,
    module: import.meta.url,
    summary: "",
    options: type({ "+": "reject", saves: "boolean" }),
    takes: {},
    gives: Copy,
    usesBackend: false,
    estimate: () => ({ artifact: null, cost: cost({}) }),
    run: ({ options: { saves }, scratch }) =>
      Effect.gen(function* () {
        const state = join(scratch, "state")
        const left = fs.existsSync(state) ? fs.readFileSync(state, "utf8") : "nothing"
        seen.push(left)
        if (left !== "nothing") return "text"
        fs.mkdirSync(scratch, { recursive: true })
        fs.writeFileSync(state, "step 9")
        try {
          fs.writeFileSync(filler, Buffer.alloc(2 ** 20))
        } catch {
          // It is full now.
        }
        if (saves) yield* writeFile(state, "x".repeat(2 ** 16))
        return "x".repeat(2 ** 16)
      }),
  })
  const make = (saves: boolean) =>
    inStore(
      disk.folder,
      Effect.gen(function* () {
        const computing = { arithmetic: "cpu", sources: {}, packages: {} }
        const graph = yield* graphOf({ saving: saving({ saves }) }, computing)
        const plan = yield* planOf(graph, {
          ...{ backend: "cpu", processes: 1 },
          flopsPerSecond: () => 1e9,
          threads: () => 1,
        })
        return (yield* carryOut(plan)).failures
      }),
    )
  try {
    for (const saves of [true, false]) {
      expect(await make(saves)).toMatchObject([
        {
          kind: "disk",
          reason: expect.stringContaining("the disk is full. Free some space and start again"),
        },
      ])
      fs.rmSync(filler)
      expect(await make(saves)).toEqual([])
      expect(fs.readdirSync(join(disk.folder, "scratch"))).toEqual([])
    }
    expect(seen).toEqual(["nothing", "step 9", "nothing", "step 9"])
  } finally {
    disk.remove()
  }
})

test("a worker that is killed between writing its artifact and freeing its state leaves nothing to the next", async () => {
  const path = join(out, "a.txt")
  fs.writeFileSync(path, "one")
  await attemptCopy(path, "one")
  await inStore(
    out,
    Effect.gen(function* () {
      const computing = { arithmetic: "cpu", sources: {}, packages: {} }
      const { units } = yield* graphOf({ copy: copying({ path, edit: "one" }) }, computing)
      const store = yield* Store
      // As before it was killed: its artifact is not there yet.
      const killed = jobFor(units[0]!, true, [])
      const progress = Progress.of({ report: () => Effect.void })
      yield* Effect.provideService(runJob(killed, "cpu", new Map(), origin), Progress, progress).pipe(
        Effect.provideService(Store, { ...store, freeScratch: () => Effect.void }),
      )
      expect(fs.readdirSync(join(out, "scratch"))).toHaveLength(1)
      yield* freeFinished(out, (key) => key !== killed.unit.key)
      expect(fs.readdirSync(join(out, "scratch"))).toHaveLength(1)
      const again = join(out, "again")
      fs.cpSync(join(out, "scratch"), join(again, "scratch"), { recursive: true })
      yield* freeFinished(again, (key) => key === killed.unit.key)
      expect(fs.readdirSync(join(again, "scratch"))).toEqual([])
      const { job, outcomes } = yield* remaining(killed, new Map())
      expect([job, outcomes.map(({ status }) => status)]).toEqual([undefined, ["done"]])
      expect(fs.readdirSync(join(out, "scratch"))).toEqual([])
    }),
  )
})
