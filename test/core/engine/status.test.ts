import { afterEach, beforeEach, expect, test } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import type { Launch } from "../../../core/engine/launch.ts"
import { lastLine, statusOf } from "../../../core/engine/status.ts"
import { Leases } from "../../../core/engine/store/leases.ts"
import { Owners } from "../../../core/engine/store/owners.ts"
import { folderName } from "../../../core/engine/store/record.ts"
import { sealedText } from "../../../core/engine/store/seal.ts"

let out: string
beforeEach(async () => {
  out = await fs.mkdtemp(join(tmpdir(), "kasosei-status-of-"))
})
afterEach(() => fs.rm(out, { recursive: true, force: true }))

const unit = (label: string, takes: readonly number[] = [], members: readonly number[] = []) => ({
  ...{ key: label.padEnd(64, "0"), label, plugin: "sample", stage: "data", flops: 1e9 },
  ...{ takes: [...takes], members: [...members] },
})
const job = (index: number, wanted = true, observers: readonly number[] = []) => ({
  ...{ unit: index, wanted, observers: [...observers] },
  ...{ flops: 1e9, memory: 0, disk: 0, scratch: 0 },
})
/** A probe watches a run that nothing else needs; a report takes the probe. */
const launch = {
  arithmetic: "cpu",
  units: [unit("a"), unit("b", [0]), unit("c", [1]), unit("d", [], [2])],
  jobs: [job(0), job(1, false, [2]), job(3)],
} as unknown as Launch

const statesOf = async (given = launch) => {
  const layer = Layer.provideMerge(Leases.layer(out), Owners.layer(out, { role: "supervisor", command: "" }))
  const { units } = await Effect.runPromise(Effect.provide(statusOf(out, given), layer))
  return units.map((each) => ("on" in each ? [each.state, ...each.on] : [each.state]))
}
const put = (index: number, name: string, text = "") => {
  const { plugin, key } = launch.units[index]!
  const folder = join(out, "artifacts", folderName(plugin, key))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), text)
}

test("a probe of a run that is only replayed waits for what the run takes", async () => {
  expect(await statesOf()).toEqual([["ready"], ["replayed"], ["waiting", 0], ["waiting", 2]])
  put(0, "manifest.json")
  expect(await statesOf()).toEqual([["done"], ["replayed"], ["ready"], ["waiting", 2]])
  put(2, "manifest.json")
  expect(await statesOf()).toEqual([["done"], ["replayed"], ["done"], ["ready"]])
})

test("what was not to be made is not waited for, whether it was never kept or is gone", async () => {
  put(3, "manifest.json")
  expect(await statesOf({ ...launch, jobs: [job(3)] } as unknown as Launch)).toEqual([
    ["replayed"],
    ["replayed"],
    ["replayed"],
    ["done"],
  ])
})

test("what needs a unit that failed is not to be made, but a report does without members", async () => {
  const record = {
    key: "a".padEnd(64, "0"),
    plugin: "sample",
    label: "a",
    inputs: [],
    made: "",
    reason: "no",
  }
  put(0, "failure.json", sealedText(record))
  expect(await statesOf()).toEqual([["failed"], ["replayed"], ["blocked", 0], ["ready"]])
})

test("a damaged record of a failure says so", async () => {
  put(0, "failure.json", "{")
  const layer = Layer.provideMerge(Leases.layer(out), Owners.layer(out, { role: "supervisor", command: "" }))
  const { units, remaining } = await Effect.runPromise(Effect.provide(statusOf(out, launch), layer))
  expect(units[0]).toMatchObject({ state: "failed", reason: expect.stringContaining("changed") })
  expect(remaining).toBeNull()
})

test("the last line of a log, however long it is; none of a log that is not there", async () => {
  const path = join(out, "log")
  expect(await Effect.runPromise(lastLine(path))).toBeUndefined()
  writeFileSync(path, `${"x".repeat(10_000)}\n${"y\n".repeat(5000)}the last\n`)
  expect(await Effect.runPromise(lastLine(path))).toBe("the last")
})
