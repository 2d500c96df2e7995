import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schedule } from "effect"
import { type Life, type Owner, Owners } from "../../../../core/engine/store/owners.ts"
import { atWork } from "./at-work.ts"

let root: string
beforeEach(async () => {
  root = await fs.mkdtemp(join(tmpdir(), "kasosei-owners-"))
})
afterEach(() => fs.rm(root, { recursive: true, force: true }))

const heartbeat = { every: 10, goneAfter: 60 }
const run = <A, E>(body: Effect.Effect<A, E, Owners>) =>
  Effect.runPromise(
    Effect.provide(
      body,
      Owners.layer(root, { role: "supervisor", command: "kasosei pipeline a.ts" }, heartbeat),
    ),
  )
const lifeOf = (id: string) => Effect.flatMap(Owners, (owners) => owners.lifeOf(id))
const until = (id: string, life: Life) =>
  lifeOf(id).pipe(Effect.repeat({ until: (now) => now === life, schedule: Schedule.spaced("5 millis") }))

/** The file of a process on another host. */
const elsewhere = (id: string, over: Partial<Owner> = {}) => {
  const owner: Owner = {
    ...{ id, role: "worker", pid: 1, host: "node7", boot: "another", command: "kasosei pipeline a.ts" },
    ...{ started: "2026-01-01T00:00:00.000Z", locked: true },
    ...over,
  }
  mkdirSync(join(root, "owners"), { recursive: true })
  const path = join(root, "owners", `${id}.json`)
  writeFileSync(path, JSON.stringify(owner))
  return path
}
const id = "00000000000000aa"

test("a process has a file only while it is at work, and who only looks has none", async () => {
  await run(Effect.flatMap(Owners, (owners) => owners.all))
  expect(readdirSync(root)).toEqual([])
  await run(
    Effect.gen(function* () {
      const owners = yield* Owners
      const self = yield* owners.self
      expect(yield* owners.self).toBe(self)
      expect(self).toMatchObject({ role: "supervisor", pid: process.pid, locked: true })
      expect(yield* owners.tmp).toBe(join(root, "tmp", self.id))
      expect(readdirSync(join(root, "owners"))).toEqual([`${self.id}.json`])
      expect(yield* owners.lifeOf(self.id)).toBe("alive")
      expect(yield* owners.all).toMatchObject([{ ...self, life: "alive" }])
    }),
  )
  expect(readdirSync(join(root, "owners"))).toEqual([])
  expect(readdirSync(join(root, "tmp"))).toEqual([])
})

test("under the same kernel a process is gone the moment that it is killed, though its id is alive again", async () => {
  const child = await atWork(root)
  await run(
    Effect.gen(function* () {
      expect(yield* lifeOf(child.id)).toBe("alive")
      yield* Effect.promise(() => child.kill())
      const path = join(root, "owners", `${child.id}.json`)
      const owner = JSON.parse(readFileSync(path, "utf8"))
      // As after a restart of a container or a machine, where another process has its number.
      writeFileSync(path, JSON.stringify({ ...owner, pid: process.pid }))
      expect(yield* lifeOf(child.id)).toBe("gone")
    }),
  )
})

describe("a process of another host", () => {
  test("is alive once its file is touched, whatever time the clocks tell", async () => {
    const path = elsewhere(id)
    await run(
      Effect.gen(function* () {
        expect(yield* lifeOf(id)).toBe("unknown")
        for (const time of [2e9, 1e9, 1.5e9]) {
          utimesSync(path, time, time)
          expect(yield* lifeOf(id)).toBe("alive")
        }
      }),
    )
  })

  test("is gone when its file was not touched for long enough, seen from here", async () => {
    const path = elsewhere(id)
    // Its clock is years ahead, or behind.
    for (const time of [4e9, 1e6]) {
      utimesSync(path, time, time)
      await run(
        Effect.gen(function* () {
          expect(yield* lifeOf(id)).toBe("unknown")
          yield* until(id, "gone")
        }),
      )
    }
  })

  test("whose file system knows no locks, under the same kernel, is judged likewise", async () => {
    await run(
      Effect.gen(function* () {
        const self = yield* (yield* Owners).self
        elsewhere(id, { boot: self.boot, locked: false })
        expect(yield* lifeOf(id)).toBe("unknown")
        yield* until(id, "gone")
      }),
    )
  })

  test("shows that it lives", async () => {
    await run(
      Effect.gen(function* () {
        const self = yield* (yield* Owners).self
        const path = join(root, "owners", `${self.id}.json`)
        utimesSync(path, 1, 1)
        yield* Effect.sync(() => Bun.file(path).lastModified).pipe(
          Effect.repeat({ until: (time) => time > 1e12, schedule: Schedule.spaced("5 millis") }),
        )
      }),
    )
  })
})

test("a process that another host has taken for gone appears again, locked as before", async () => {
  await run(
    Effect.gen(function* () {
      const self = yield* (yield* Owners).self
      const path = join(root, "owners", `${self.id}.json`)
      for (let time = 0; time < 2; time++) {
        rmSync(path)
        yield* Effect.sync(() => existsSync(path)).pipe(
          Effect.repeat({ until: (there) => there, schedule: Schedule.spaced("5 millis") }),
        )
        expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(self)
        expect(yield* lifeOf(self.id)).toBe("alive")
      }
    }),
  )
  expect(readdirSync(join(root, "owners"))).toEqual([])
})

test("a process whose first attempt to be at work failed can try again", async () => {
  writeFileSync(join(root, "owners"), "a file in the folder's place")
  await run(
    Effect.gen(function* () {
      const owners = yield* Owners
      expect((yield* Effect.flip(owners.self)).message).toContain("owners")
      rmSync(join(root, "owners"))
      expect(yield* owners.lifeOf((yield* owners.self).id)).toBe("alive")
    }),
  )
})

test("a file of another form is respected while it is locked or touched", async () => {
  const path = elsewhere(id)
  for (const content of ["", "{", '{"id":1}', "x".repeat(300_000)]) {
    writeFileSync(path, content)
    await run(
      Effect.gen(function* () {
        expect(yield* lifeOf(id)).toBe("unknown")
        expect(yield* (yield* Owners).all).toEqual([])
        yield* until(id, "gone")
      }),
    )
  }
  const child = await atWork(root)
  writeFileSync(join(root, "owners", `${child.id}.json`), "{")
  await run(
    Effect.gen(function* () {
      expect(yield* lifeOf(child.id)).toBe("alive")
      yield* Effect.promise(() => child.kill())
      yield* until(child.id, "gone")
    }),
  )
})

test("sweeping removes what those that are gone have left, and nothing of the others", async () => {
  const [killed, living] = [await atWork(root), await atWork(root)]
  await killed.kill()
  elsewhere(id)
  const key = "0123456789abcdef0123"
  for (const owner of [killed.id, living.id, id, "00000000000000bb"]) {
    mkdirSync(join(root, "tmp", owner), { recursive: true })
    writeFileSync(join(root, "tmp", owner, "half"), "")
    mkdirSync(join(root, "leases", key), { recursive: true })
    writeFileSync(join(root, "leases", key, owner), "")
  }
  mkdirSync(join(root, "leases", "f".repeat(20)))
  writeFileSync(join(root, "leases", "f".repeat(20), killed.id), "")
  writeFileSync(join(root, "owners", "notes.txt"), "a person's")
  mkdirSync(join(root, "tmp", "mine"))
  await run(Effect.flatMap(Owners, (owners) => owners.sweep))
  const left = [living.id, id].sort()
  expect(readdirSync(join(root, "tmp")).sort()).toEqual([...left, "mine"].sort())
  expect(readdirSync(join(root, "leases"))).toEqual([key])
  expect(readdirSync(join(root, "leases", key)).sort()).toEqual(left)
  expect(readdirSync(join(root, "owners")).sort()).toEqual(
    [...left.map((each) => `${each}.json`), "notes.txt"].sort(),
  )
  await living.kill()
})

test("what a process left that was killed while it began is removed", async () => {
  mkdirSync(join(root, "owners"))
  const path = join(root, "owners", `.${id}.tmp`)
  writeFileSync(path, "{")
  await run(
    Effect.flatMap(Owners, (owners) => owners.sweep).pipe(
      Effect.repeat({ until: () => !existsSync(path), schedule: Schedule.spaced("5 millis") }),
    ),
  )
})

test.skipIf(process.getuid?.() !== 0)(
  "in a pid namespace of its own, a process with our number is another",
  async () => {
    const child = await atWork(root, ["unshare", "--pid", "--fork", "--kill-child"])
    expect(child.pid).toBeLessThan(5)
    await run(
      Effect.gen(function* () {
        expect(yield* lifeOf(child.id)).toBe("alive")
        yield* Effect.promise(() => child.kill())
        // The namespace ends a moment after the process that made it.
        yield* until(child.id, "gone")
      }),
    )
    rmSync(join(root, "owners"), { recursive: true })
  },
)
