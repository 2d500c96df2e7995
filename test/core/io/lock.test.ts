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

/** Larger than any process id: Linux assigns up to 2^22. */
const gone = "4194305"

test("a second attempt to take a lock returns its holder", async () => {
  expect(await takeLock(path)).toBeUndefined()
  expect(await takeLock(path)).toBe(`${process.pid}`)
})

test("a lock left by a process that is gone is taken over", async () => {
  await fs.writeFile(path, `${gone}\n`)
  expect(await takeLock(path)).toBeUndefined()
  expect(await fs.readFile(path, "utf8")).toBe(`${process.pid}\n`)
})

test("a lock without a process id is respected while it may be being written, then taken over", async () => {
  await fs.writeFile(path, "")
  expect(await takeLock(path)).toBe("unknown")
  const before = new Date(Date.now() - 60_000)
  await fs.utimes(path, before, before)
  expect(await takeLock(path)).toBeUndefined()
})

test("of many simultaneous attempts, one succeeds", async () => {
  const holders = await Promise.all(Array.from({ length: 20 }, () => takeLock(path)))
  expect(holders.filter((holder) => holder === undefined).length).toBe(1)
})

test("of many that find the lock of a process that is gone, one takes it over", async () => {
  for (let round = 0; round < 20; round++) {
    await fs.writeFile(path, `${gone}\n`)
    const holders = await Promise.all(Array.from({ length: 10 }, () => takeLock(path)))
    expect(holders.filter((holder) => holder === undefined).length).toBe(1)
    expect(await fs.readdir(folder)).toEqual(["lock"])
  }
})

test("a claim that a killed process left is removed once it is old, and does not lock anyone out", async () => {
  await fs.writeFile(path, `${gone}\n`)
  await fs.writeFile(`${path}.claim`, `${gone}\n`)
  expect(await takeLock(path)).toBe("unknown")
  const before = new Date(Date.now() - 60_000)
  await fs.utimes(`${path}.claim`, before, before)
  expect(await takeLock(path)).toBe("unknown")
  expect(await takeLock(path)).toBeUndefined()
})

test("a lock that can be neither created nor read is an error, not a wait", async () => {
  await expect(takeLock(join(folder, "nowhere", "lock"))).rejects.toThrow("ENOENT")
  await fs.mkdir(path)
  await expect(takeLock(path)).rejects.toThrow("EISDIR")
})

test("a results folder is locked until the scope ends, and a second attempt is refused", async () => {
  const out = join(folder, "out")
  const body = Effect.gen(function* () {
    yield* lockOut(out)
    return yield* Effect.flip(Effect.scoped(lockOut(out)))
  })
  const { message } = await Effect.runPromise(Effect.scoped(body))
  expect(message).toContain(`--out ${out} is in use by process ${process.pid}: wait`)
  expect(existsSync(join(out, "lock"))).toBe(false)
})

test("the message for a holder that is not known yet", () => {
  expect(new OutInUse({ out: "results", process: "unknown" }).message).toBe(
    "--out results is in use by another process: wait for it to end or choose another folder; if it is not a kasosei process, delete results/lock",
  )
})
