import { afterEach, beforeEach, expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { graphOf } from "../../../../core/engine/graph.ts"
import { Store } from "../../../../core/engine/store/store.ts"
import { FileError, readText, writeFile } from "../../../../core/io/files.ts"
import { lockOut } from "../../../../core/io/lock.ts"
import { source } from "../../sample/plugins.ts"
import { inStore, madeBy } from "../../sample/study.ts"

let out: string
beforeEach(async () => {
  out = await fs.mkdtemp(join(tmpdir(), "kasosei-store-"))
})
afterEach(() => fs.rm(out, { recursive: true, force: true }))

const making = { backend: null, missing: [], seconds: 1, madeBy }

const unitAndStore = Effect.gen(function* () {
  const computing = { arithmetic: "cpu", sources: {}, packages: {} }
  const { units } = yield* graphOf({ data: source({ count: 3 }) }, computing)
  return { unit: units[0]!, store: yield* Store }
})

test("an artifact that could not be written completely leaves nothing behind", async () => {
  await inStore(
    out,
    Effect.gen(function* () {
      const { unit, store } = yield* unitAndStore
      const full = new FileError({ path: "b", doing: "write", found: "the disk is full" })
      const result = yield* Effect.flip(
        store.write(unit, making, (folder) =>
          Effect.andThen(writeFile(join(folder, "a"), "half"), Effect.fail(full)),
        ),
      )
      expect(result).toBe(full)
      expect((yield* store.stored(unit)).status).toBe("absent")
    }),
  )
  expect(await fs.readdir(join(out, "artifacts"))).toEqual([])
})

test("a file that was altered is refused on reading, with what to do", async () => {
  await inStore(
    out,
    Effect.gen(function* () {
      const { unit, store } = yield* unitAndStore
      yield* store.write(unit, making, (folder) => writeFile(join(folder, "sub", "numbers"), "1 2 3"))
      const folder = yield* store.open(unit)
      yield* Effect.promise(() => fs.writeFile(join(folder, "sub", "numbers"), "1 2 4"))
    }),
  )
  // As in another process: a store remembers only what it verified itself.
  const error = await inStore(
    out,
    Effect.gen(function* () {
      const { unit, store } = yield* unitAndStore
      return yield* Effect.flip(store.open(unit))
    }),
  )
  expect(error.message).toContain("its SHA-256 differs")
  expect(error.message).toContain("to have it computed again")
})

test("an artifact is replaced only once the new one is complete", async () => {
  const text = await inStore(
    out,
    Effect.gen(function* () {
      const { unit, store } = yield* unitAndStore
      yield* store.write(unit, making, (folder) => writeFile(join(folder, "a"), "old"))
      const full = new FileError({ path: "a", doing: "write", found: "the disk is full" })
      yield* Effect.flip(store.write(unit, making, () => Effect.fail(full)))
      const kept = yield* readText(join(yield* store.open(unit), "a"))
      yield* store.write(unit, making, (folder) => writeFile(join(folder, "a"), "new"))
      return [kept, yield* readText(join(yield* store.open(unit), "a"))]
    }),
  )
  expect(text).toEqual(["old", "new"])
})

test("a damaged manifest, such as one that a power cut left empty, is reported with what to do", async () => {
  const message = await inStore(
    out,
    Effect.gen(function* () {
      const { unit, store } = yield* unitAndStore
      yield* store.write(unit, making, (folder) => writeFile(join(folder, "a"), "1"))
      const [name] = yield* Effect.promise(() => fs.readdir(join(out, "artifacts")))
      const folder = join(out, "artifacts", name!)
      yield* writeFile(join(folder, "manifest.json"), "")
      const empty = (yield* Effect.flip(store.stored(unit))).message
      yield* writeFile(join(folder, "manifest.json"), "{}")
      const lacking = (yield* Effect.flip(store.open(unit))).message
      return [empty, lacking].map((text) => text.replaceAll(folder, "FOLDER"))
    }),
  )
  expect(message).toEqual([
    expect.stringMatching(
      /^cannot read FOLDER\/manifest.json: it is not JSON .* Delete FOLDER to have it computed again$/,
    ),
    expect.stringMatching(
      /^cannot read FOLDER\/manifest.json: .*key must be .* Delete FOLDER to have it computed again$/,
    ),
  ])
})

test("half-written artifacts of killed processes are removed, finished ones are kept", async () => {
  const names = await inStore(
    out,
    Effect.gen(function* () {
      const { unit, store } = yield* unitAndStore
      yield* store.removeHalfWritten
      yield* store.write(unit, making, (folder) => writeFile(join(folder, "a"), "1"))
      const finished = yield* Effect.promise(() => fs.readdir(join(out, "artifacts")))
      yield* writeFile(join(out, "artifacts", `${finished[0]}.0123abcd.tmp`, "data", "a"), "half")
      yield* store.removeHalfWritten
      return [finished, yield* Effect.promise(() => fs.readdir(join(out, "artifacts")))]
    }),
  )
  expect(names[1]).toEqual(names[0]!)
  expect(names[0]).toHaveLength(1)
})

test("a manifest cannot name a file outside its folder", async () => {
  const error = await inStore(
    out,
    Effect.gen(function* () {
      const { unit, store } = yield* unitAndStore
      const manifest = yield* store.write(unit, making, (folder) => writeFile(join(folder, "a"), "1"))
      const [name] = yield* Effect.promise(() => fs.readdir(join(out, "artifacts")))
      const path = join(out, "artifacts", name!, "manifest.json")
      const files = [{ ...manifest.files[0]!, path: "../../../secret" }]
      yield* writeFile(path, JSON.stringify({ ...manifest, files }))
      return yield* Effect.flip(store.open(unit))
    }),
  )
  expect(error.message).toContain("points outside the artifact's folder")
})

test("one process at a time uses a folder; the lock of a process that is gone is taken over", async () => {
  const lock = Effect.scoped(lockOut(out))
  const second = Effect.scoped(Effect.andThen(lockOut(out), Effect.flip(Effect.scoped(lockOut(out)))))
  expect((await Effect.runPromise(second)).message).toContain("is in use by process")
  await Effect.runPromise(lock)
  await fs.writeFile(join(out, "lock"), "999999999\n")
  await Effect.runPromise(lock)
  expect(await fs.readdir(out)).toEqual([])
})
