import { afterEach, beforeEach, expect, test } from "bun:test"
import { spawn } from "node:child_process"
import { closeSync, existsSync, openSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber } from "effect"
import { lockFile, tryLock } from "../../../core/io/file-lock.ts"

let folder: string
let path: string
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "kasosei-file-lock-"))
  path = join(folder, "lock")
})
afterEach(() => fs.rm(folder, { recursive: true, force: true }))

const open = () => openSync(path, "a")
const deno = join(import.meta.dir, "..", "..", "..", "node_modules", "deno", "deno")
const script = join(import.meta.dir, "file-lock.process.ts")
const runtimes = [
  ["Bun", process.execPath, []],
  ["Deno", deno, ["run", "--allow-all"]],
] as const

/** A process that locks `path` and says so. */
const holder = async (program: string, options: readonly string[]) => {
  const child = spawn(program, [...options, script, path], { stdio: ["pipe", "pipe", "inherit"] })
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const [said] = (
    await new Promise<Buffer[]>((resolve) => child.stdout.once("data", (...data) => resolve(data)))
  ).map(String)
  return { child, gone, said }
}

test("of two exclusive locks the second is refused until the first file is closed; shared ones go together", () => {
  const [first, second, third] = [open(), open(), open()]
  expect(tryLock(first, "exclusive")).toBe(true)
  expect(tryLock(second, "exclusive")).toBe(false)
  expect(tryLock(second, "shared")).toBe(false)
  closeSync(first)
  expect(tryLock(second, "shared")).toBe(true)
  expect(tryLock(third, "shared")).toBe(true)
  expect(tryLock(third, "exclusive")).toBe(false)
  closeSync(second)
  expect(tryLock(third, "exclusive")).toBe(true)
  closeSync(third)
})

for (const [name, program, options] of runtimes) {
  test.skipIf(!existsSync(program))(
    `a lock ends with its process, killed or not, and ${name} sees ours`,
    async () => {
      const { child, gone, said } = await holder(program, options)
      expect(said).toBe("locked\n")
      const ours = open()
      expect(tryLock(ours, "exclusive")).toBe(false)
      child.kill("SIGKILL")
      await gone
      expect(tryLock(ours, "exclusive")).toBe(true)
      const other = await holder(program, options)
      expect(other.said).toBe("held\n")
      other.child.kill("SIGKILL")
      await other.gone
      closeSync(ours)
    },
  )
}

test("a process that the holder starts does not inherit its lock", async () => {
  const { child, gone, said } = await holder(process.execPath, [])
  expect(said).toBe("locked\n")
  child.stdin.write("start\n")
  const pid = Number(await new Promise((resolve) => child.stdout.once("data", resolve)))
  child.kill("SIGKILL")
  await gone
  process.kill(pid, 0)
  const ours = open()
  expect(tryLock(ours, "exclusive")).toBe(true)
  closeSync(ours)
  process.kill(pid, "SIGKILL")
})

test("who waits for a lock gets it when the other one is done, and one at a time", async () => {
  let inside = 0
  let most = 0
  const turn = Effect.scoped(
    Effect.gen(function* () {
      yield* lockFile(path)
      most = Math.max(most, ++inside)
      yield* Effect.sleep(1)
      inside--
    }),
  )
  await Effect.runPromise(
    Effect.all(
      Array.from({ length: 8 }, () => turn),
      { concurrency: "unbounded" },
    ),
  )
  expect(most).toBe(1)
})

test("a lock on a file that its holder removed is none", async () => {
  const first = open()
  expect(tryLock(first, "exclusive")).toBe(true)
  const waiting = Effect.runFork(
    Effect.scoped(
      Effect.andThen(
        lockFile(path),
        Effect.sync(() => existsSync(path)),
      ),
    ),
  )
  await new Promise((resolve) => setTimeout(resolve, 60))
  await fs.rm(path)
  closeSync(first)
  expect(await Effect.runPromise(Fiber.join(waiting))).toBe(true)
  expect(existsSync(path)).toBe(false)
})

test("an interruption at any moment leaves neither a lock nor its file", async () => {
  for (let turns = 0; turns < 12; turns++) {
    const locking = Effect.runFork(Effect.scoped(Effect.andThen(lockFile(path), Effect.never)))
    for (let i = 0; i < turns; i++) await Promise.resolve()
    if (turns > 8) await new Promise((resolve) => setTimeout(resolve, turns - 8))
    await Effect.runPromise(Fiber.interrupt(locking))
    expect(existsSync(path)).toBe(false)
    const ours = open()
    expect(tryLock(ours, "exclusive")).toBe(true)
    closeSync(ours)
    await fs.rm(path)
  }
})

test("waiting can be interrupted, and a folder that cannot be made is an error", async () => {
  const first = open()
  expect(tryLock(first, "exclusive")).toBe(true)
  const waiting = Effect.runFork(Effect.scoped(lockFile(path)))
  await new Promise((resolve) => setTimeout(resolve, 10))
  await Effect.runPromise(Fiber.interrupt(waiting))
  closeSync(first)
  const second = open()
  expect(tryLock(second, "exclusive")).toBe(true)
  closeSync(second)
  const error = await Effect.runPromise(Effect.flip(Effect.scoped(lockFile(join(path, "lock")))))
  expect(error.message).toContain(path)
})
