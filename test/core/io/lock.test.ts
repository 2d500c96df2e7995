import { afterEach, beforeEach, expect, test } from "bun:test"
import { existsSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { lockOut, OutInUse, takeLock } from "../../../core/io/lock.ts"

let folder: string
let path: string
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "kasosei-lock-"))
  path = join(folder, "lock")
})
afterEach(() => fs.rm(folder, { recursive: true, force: true }))

/** No process has this number. */
const gone = "4194305"

test("a lock is taken once, and tells whose it is", async () => {
  expect(await takeLock(path)).toBeUndefined()
  expect(await takeLock(path)).toBe(`${process.pid}`)
})

test("one that a process left which is gone is taken over", async () => {
  await fs.writeFile(path, `${gone}\n`)
  expect(await takeLock(path)).toBeUndefined()
  expect(await fs.readFile(path, "utf8")).toBe(`${process.pid}\n`)
})

test("one without a number is being written; later it is one that a full disk left", async () => {
  await fs.writeFile(path, "")
  expect(await takeLock(path)).toBe("unknown")
  const before = new Date(Date.now() - 60_000)
  await fs.utimes(path, before, before)
  expect(await takeLock(path)).toBeUndefined()
})

test("of many at once one has it", async () => {
  const holders = await Promise.all(Array.from({ length: 20 }, () => takeLock(path)))
  expect(holders.filter((holder) => holder === undefined).length).toBe(1)
})

test("where it can be neither made nor read, it says why instead of waiting", async () => {
  await expect(takeLock(join(folder, "nowhere", "lock"))).rejects.toThrow("ENOENT")
  await fs.mkdir(path)
  await expect(takeLock(path)).rejects.toThrow("EISDIR")
})

test("a folder of results is locked until the scope ends, and a second process is refused", async () => {
  const out = join(folder, "out")
  const body = Effect.gen(function* () {
    yield* lockOut(out)
    return yield* Effect.flip(Effect.scoped(lockOut(out)))
  })
  const { message } = await Effect.runPromise(Effect.scoped(body))
  expect(message).toContain(`--out ${out} is in use by process ${process.pid}: wait`)
  expect(existsSync(join(out, "lock"))).toBe(false)
})

test("a lock whose process is not known yet is told as such", () => {
  expect(new OutInUse({ out: "results", process: "unknown" }).message).toBe(
    "--out results is in use by another process: wait for it to end, or choose another folder. If it is not a run of this project, remove results/lock",
  )
})
