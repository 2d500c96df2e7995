import { afterEach, beforeEach, expect, test } from "bun:test"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Layer, Scope } from "effect"
import { Leases } from "../../../../core/engine/store/leases.ts"
import { Owners } from "../../../../core/engine/store/owners.ts"
import { mayMount, smallDisk } from "../../../small-disk.ts"
import { atWork } from "./at-work.ts"

let root: string
beforeEach(async () => {
  root = await fs.mkdtemp(join(tmpdir(), "kasosei-leases-"))
})
afterEach(() => fs.rm(root, { recursive: true, force: true }))

const run = <A, E>(body: Effect.Effect<A, E, Leases | Owners | Scope.Scope>, folder = root) => {
  const owners = Owners.layer(folder, { role: "worker", command: "a test" })
  return Effect.runPromise(
    Effect.scoped(Effect.provide(body, Layer.provideMerge(Leases.layer(folder), owners))),
  )
}
const unit = (letter: string) => ({ key: letter.repeat(64), label: `unit ${letter}` })
const [a, b, c] = [unit("a"), unit("b"), unit("c")]

test("a lease is another's until the scope ends, and then no trace of it is left", async () => {
  const child = await atWork(root)
  await run(
    Effect.gen(function* () {
      const leases = yield* Leases
      const scope = yield* Scope.make()
      expect(yield* Scope.provide(leases.take([a, b]), scope)).toBeUndefined()
      const { id } = yield* (yield* Owners).self
      expect(yield* leases.all).toMatchObject([
        { ...a, owner: id },
        { ...b, owner: id },
      ])
      expect(yield* Effect.promise(() => child.take(a.key))).toBe(id)
      yield* Scope.close(scope, Exit.void)
      expect(existsSync(join(root, "leases", a.key.slice(0, 20)))).toBe(false)
      expect(yield* Effect.promise(() => child.take(a.key))).toBe("taken")
      expect(yield* leases.take([a])).toEqual({ key: a.key, owner: child.id })
    }),
  )
  await child.kill()
})

test("all leases are taken, or none", async () => {
  const child = await atWork(root)
  expect(await child.take(b.key)).toBe("taken")
  await run(
    Effect.gen(function* () {
      const leases = yield* Leases
      expect(yield* leases.take([a, b, c])).toEqual({ key: b.key, owner: child.id })
      expect(yield* leases.all).toMatchObject([{ key: b.key }])
      expect(yield* leases.take([a, c])).toBeUndefined()
    }),
  )
  await child.kill()
})

test("a lease of a process that was killed is free at once", async () => {
  const child = await atWork(root)
  expect(await child.take(a.key)).toBe("taken")
  await child.kill()
  await run(
    Effect.gen(function* () {
      const leases = yield* Leases
      expect(yield* leases.all).toEqual([])
      expect(yield* leases.take([a])).toBeUndefined()
    }),
  )
})

test("a lease is kept by a process of another host until that has been silent for long enough", async () => {
  const id = "00000000000000aa"
  mkdirSync(join(root, "leases", a.key.slice(0, 20)), { recursive: true })
  writeFileSync(join(root, "leases", a.key.slice(0, 20), id), "")
  mkdirSync(join(root, "owners"))
  const owner = {
    id,
    role: "worker",
    pid: 1,
    host: "node7",
    boot: "another",
    command: "",
    started: "",
    locked: true,
  }
  writeFileSync(join(root, "owners", `${id}.json`), JSON.stringify(owner))
  await run(
    Effect.gen(function* () {
      expect(yield* (yield* Leases).take([a])).toEqual({ key: a.key, owner: id })
    }),
  )
})

test("a lease is taken while others make and remove the folder again and again", async () => {
  const folder = join(root, "leases", a.key.slice(0, 20))
  const script = `
    const { mkdirSync, rmdirSync } = require("node:fs")
    console.log("begun")
    while (true) {
      try { mkdirSync(${JSON.stringify(folder)}) } catch {}
      try { rmdirSync(${JSON.stringify(folder)}) } catch {}
    }`
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "ignore"] })
  try {
    await once(child.stdout, "data")
    await run(
      Effect.gen(function* () {
        const leases = yield* Leases
        for (let round = 0; round < 30; round++) {
          expect(yield* Effect.scoped(leases.take([a]))).toBeUndefined()
        }
      }),
    )
  } finally {
    child.kill("SIGKILL")
  }
})

test("what cannot be written is an error, and nothing stays announced", async () => {
  mkdirSync(join(root, "leases"))
  writeFileSync(join(root, "leases", b.key.slice(0, 20)), "a file in the folder's place")
  await run(
    Effect.gen(function* () {
      const error = yield* Effect.flip((yield* Leases).take([a, b]))
      expect(error.message).toContain(b.key.slice(0, 20))
    }),
  )
  expect(readdirSync(join(root, "leases"))).toEqual([b.key.slice(0, 20)])
})

test.skipIf(!mayMount)("on a full disk nothing stays announced", async () => {
  const disk = smallDisk(64)!
  try {
    await run(
      Effect.gen(function* () {
        yield* (yield* Owners).self
        const leases = yield* Leases
        mkdirSync(join(disk.folder, "leases"))
        expect(() => writeFileSync(join(disk.folder, "filler"), Buffer.alloc(2 ** 17))).toThrow()
        const error = yield* Effect.flip(leases.take([a]))
        expect(error.message).toContain("the disk is full")
        expect(yield* leases.all).toEqual([])
        rmSync(join(disk.folder, "filler"))
        expect(yield* leases.take([a])).toBeUndefined()
      }),
      disk.folder,
    )
  } finally {
    disk.remove()
  }
})

test("of processes that contend for a unit, some of them killed with the lease, one has it at a time", async () => {
  const script = join(import.meta.dir, "contend.process.ts")
  const log = join(root, "log")
  writeFileSync(log, "")
  const contend = (seed: number, rounds: number) =>
    new Promise<number | null>((resolve) => {
      const child = spawn(process.execPath, [script, root, log, `${seed}`, `${rounds}`], {
        stdio: ["ignore", "inherit", "inherit"],
      })
      child.once("exit", (code) => resolve(code))
    })
  // Those with an odd number kill themselves while they have the lease.
  const codes = await Promise.all([0, 1, 2, 3].map((seed) => contend(seed, 60)))
  expect(codes).toEqual([0, null, 0, null])
  const events = readFileSync(log, "utf8").trim().split("\n")
  let inside: string | undefined
  for (const event of events) {
    const [what, who] = event.split(" ")
    if (what === "begin") {
      // Whoever was killed did not say that it ended.
      if (inside !== undefined) expect(Number(inside) % 2).toBe(1)
      inside = who
    } else {
      expect(who).toBe(inside)
      inside = undefined
    }
  }
  expect(events.filter((event) => event.startsWith("begin")).length).toBeGreaterThanOrEqual(120)
})
