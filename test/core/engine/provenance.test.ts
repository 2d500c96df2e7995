import { afterEach, beforeEach, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { availableParallelism, cpus, tmpdir, totalmem } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import type { Provenance } from "../../../core/api/provenance.ts"
import { commitOf } from "../../../core/engine/git.ts"
import { originHere } from "../../../core/engine/provenance.ts"
import { Store } from "../../../core/engine/store/store.ts"
import manifest from "../../../package.json" with { type: "json" }
import { carryOut, inStore, origin, planSample } from "../sample/study.ts"

let out: string
beforeEach(() => {
  out = fs.mkdtempSync(join(tmpdir(), "kasosei-provenance-"))
})
afterEach(() => fs.rmSync(out, { recursive: true, force: true }))

/** What the sample's second report was told of its origins. */
const toldWith = (...settings: readonly string[]) =>
  inStore(
    out,
    Effect.gen(function* () {
      const plan = yield* planSample("provenance=true", "seeds=1", ...settings)
      yield* carryOut(plan)
      const unit = plan.graph.targets["origins"]![0]!
      const store = yield* Store
      const folder = yield* store.open(unit)
      const told: Provenance = JSON.parse(fs.readFileSync(join(folder, "provenance.json"), "utf8"))
      return { told, unit, plan, store }
    }),
  )

const manifestPath = (plugin: string) => {
  const artifacts = join(out, "artifacts")
  const [name] = fs.readdirSync(artifacts).filter((name) => name.startsWith(`${plugin}-`))
  return join(artifacts, name!, "manifest.json")
}

test("a report knows the command, and of all that it is made from how it was made", async () => {
  const { told, unit, plan } = await toldWith("lr=1")
  const { machine, software } = origin
  expect(told).toMatchObject({ ...origin.run, madeBy: { machine, software, computed: null } })
  expect(told.report).toEqual({
    label: unit.label,
    plugin: "sample-origins",
    version: 1,
    options: { title: "origins" },
    key: unit.key,
  })
  // The other report is not among them, and neither is this one.
  expect(told.units.map(({ label, stage, state }) => [label, stage, state])).toEqual([
    ["sample-source count=5 broken=false", "data", "done"],
    ["sample-walk lr=1 seed=1", "finetune", "done"],
    ["sample-watch lr=1 seed=1", "probe", "done"],
  ])
  for (const from of told.units) {
    const { key, plugin, options } = plan.graph.units.find(({ label }) => label === from.label)!
    const stored = JSON.parse(fs.readFileSync(manifestPath(from.plugin), "utf8"))
    const { digest, made, seconds } = stored
    expect(from).toMatchObject({ key, options, version: plugin.version, digest, made, seconds, reason: null })
    const computed = plugin.usesBackend ? origin.computed() : null
    const spent = { cpuSeconds: expect.any(Number), peakMemory: expect.any(Number) }
    expect(from.madeBy).toEqual({ machine, software, computed, run: origin.run, ...spent })
    expect(from.madeBy!.peakMemory).toBeGreaterThan(2 ** 20)
    expect(stored.madeBy).toEqual(from.madeBy)
    const needed = { "sample-walk": ["data"], "sample-watch": ["run"] }[plugin.name] ?? []
    expect(stored.inputs.map(({ name }: { name: string }) => name)).toEqual(needed)
    for (const { key, label } of stored.inputs) {
      expect(told.units.find((each) => each.key === key)?.label).toBe(label)
    }
  }
})

test("runs that diverged or failed are listed with the reason", async () => {
  const { told } = await toldWith("lr=1,2", "divergeAt=2", "observe=0")
  const walks = told.units.filter(({ plugin }) => plugin === "sample-walk")
  expect(walks).toMatchObject([
    { label: "sample-walk lr=1 seed=1", state: "done", reason: null },
    { state: "diverged", reason: "the sum is NaN", digest: null, madeBy: { software: origin.software } },
  ])
  expect(walks[1]!.seconds).toBeGreaterThanOrEqual(0)
  const failed = (await toldWith("lr=1,2", "failAt=2", "observe=0")).told.units
  expect(failed.filter(({ state }) => state === "absent")).toMatchObject([
    { plugin: "sample-walk", reason: "asked to fail", made: null, madeBy: null },
  ])
})

test("keys do not depend on what makes the units", async () => {
  const { plan } = await toldWith("lr=1")
  const keys = plan.graph.units.map(({ key }) => key)
  const text = JSON.stringify(plan.graph.units.map(({ parts }) => parts))
  for (const trace of [origin.machine.cpu!, origin.machine.os, "bun test"]) expect(text).not.toContain(trace)
  expect((await inStore(out, planSample("provenance=true", "seeds=1", "lr=1"))).jobs).toEqual([])
  expect(new Set(keys).size).toBe(keys.length)
})

test("what is here: the machine, and the versions that the lockfile has", () => {
  const { machine, software } = originHere(origin.run, null, origin.computed)
  expect(machine).toMatchObject({ cores: availableParallelism(), memory: totalmem() })
  expect(machine.cpu).toBe(cpus()[0]!.model.trim())
  expect(software).toMatchObject({ kasosei: manifest.version, runtime: `bun ${Bun.version}`, commit: null })
  expect(Object.keys(software.packages).sort()).toEqual(Object.keys(manifest.dependencies).sort())
  expect(software.packages["effect"]).toStartWith(manifest.dependencies.effect)
})

test("the commit of a project, and whether its files have changed since; null outside a repository", async () => {
  const git = (...args: readonly string[]) => {
    const identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    const { status, stdout } = spawnSync("git", [...identity, "-C", out, ...args], { encoding: "utf8" })
    expect(status).toBe(0)
    return stdout.trim()
  }
  const commit = () => Effect.runPromise(commitOf(out))
  expect(await commit()).toBeNull()
  git("init", "--quiet")
  expect(await commit()).toBeNull()
  fs.writeFileSync(join(out, "a.ts"), "1")
  git("add", "-A")
  git("commit", "--quiet", "-m", "a")
  const hash = git("rev-parse", "HEAD")
  expect(await commit()).toEqual({ hash, changed: false })
  fs.writeFileSync(join(out, "a.ts"), "2")
  expect(await commit()).toEqual({ hash, changed: true })
  fs.writeFileSync(join(out, "a.ts"), "1")
  fs.writeFileSync(join(out, "b.ts"), "1")
  expect(await commit()).toEqual({ hash, changed: true })
})
