import { afterEach, beforeEach, expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { Effect } from "effect"
import { UnitFailure } from "../../../../core/api/failure.ts"
import { graphOf } from "../../../../core/engine/graph.ts"
import { DamagedArtifact } from "../../../../core/engine/store/damage.ts"
import { inspect } from "../../../../core/engine/store/record.ts"
import { sealedText } from "../../../../core/engine/store/seal.ts"
import { Store } from "../../../../core/engine/store/store.ts"
import { FileError, readText, writeFile } from "../../../../core/io/files.ts"
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
  expect(await fs.readdir(out, { recursive: true })).toEqual(["tmp"])
})

const written = (text = "1 2 3") =>
  Effect.gen(function* () {
    const { unit, store } = yield* unitAndStore
    yield* store.write(unit, making, (folder) => writeFile(join(folder, "sub", "numbers"), text))
    return { unit, store, folder: dirname(yield* store.open(unit)) }
  })

test("a file that was altered is noticed when it is read, and its artifact is set aside", async () => {
  const { folder } = await inStore(out, written())
  await fs.writeFile(join(folder, "data", "sub", "numbers"), "1 2 4")
  // As in another process: a store remembers only what it verified itself.
  const error = await inStore(
    out,
    Effect.flatMap(unitAndStore, ({ unit, store }) => Effect.flip(store.open(unit))),
  )
  expect(error).toBeInstanceOf(DamagedArtifact)
  expect(error.message).toContain(
    "sub/numbers: its content has changed since it was written (its SHA-256 differs)",
  )
  const [aside] = await fs.readdir(join(out, "damaged"))
  expect(aside).toStartWith(`${basename(folder)}-2`)
  expect(error.message).toEndWith(`set aside in ${join(out, "damaged", aside!)}`)
  expect(await fs.readFile(join(out, "damaged", aside!, "data", "sub", "numbers"), "utf8")).toBe("1 2 4")
  expect(await fs.readdir(join(out, "artifacts"))).toEqual([])
})

test("what is read again after it was found to be unreadable is compared again", async () => {
  const error = await inStore(
    out,
    Effect.gen(function* () {
      const { unit, store, folder } = yield* written()
      yield* Effect.promise(() => fs.writeFile(join(folder, "data", "sub", "numbers"), "1 2 4"))
      expect(yield* store.open(unit)).toBe(join(folder, "data"))
      return yield* Effect.flip(store.open(unit, "again"))
    }),
  )
  expect(error).toBeInstanceOf(DamagedArtifact)
})

type Damage = (folder: string) => Promise<unknown>
const damages: readonly (readonly [what: string, damage: Damage, found: string])[] = [
  ["an empty manifest", (folder) => fs.truncate(join(folder, "manifest.json")), "manifest.json: it is empty"],
  ["no manifest", (folder) => fs.rm(join(folder, "manifest.json")), "it has no manifest.json"],
  [
    "a folder for a manifest",
    async (folder) => {
      await fs.rm(join(folder, "manifest.json"))
      await fs.mkdir(join(folder, "manifest.json"))
    },
    "expected a file, found a folder",
  ],
  ["a missing file", (folder) => fs.rm(join(folder, "data", "sub", "numbers")), "sub/numbers is missing"],
  ["no data", (folder) => fs.rm(join(folder, "data"), { recursive: true }), "sub/numbers is missing"],
  [
    "a longer file",
    (folder) => fs.appendFile(join(folder, "data", "sub", "numbers"), "4"),
    "sub/numbers: expected 5 bytes, found 6",
  ],
  [
    "two records",
    (folder) => fs.copyFile(join(folder, "manifest.json"), join(folder, "failure.json")),
    "it has both manifest.json and failure.json",
  ],
]

test.each(damages)("%s is seen without reading what is whole, and set aside", async (_, damage, found) => {
  const { folder } = await inStore(out, written())
  await damage(folder)
  const again = await inStore(
    out,
    Effect.gen(function* () {
      const { unit, store } = yield* unitAndStore
      const stored = yield* store.stored(unit)
      expect(stored).toEqual({ status: "absent", damaged: expect.stringContaining(found) })
      const [aside, ...others] = yield* store.setAside(unit)
      expect(aside).toMatchObject({ of: unit.label, found: expect.stringContaining(found) })
      expect(others).toEqual([])
      expect(yield* store.stored(unit)).toEqual({ status: "absent" })
      yield* written()
      return yield* store.stored(unit)
    }),
  )
  expect(again.status).toBe("done")
  expect(await fs.readdir(join(out, "damaged"))).toHaveLength(1)
})

test("a file beyond those of the manifest is set aside alone; what systems put there is let be", async () => {
  const { folder } = await inStore(out, written())
  for (const path of ["notes.txt", ".DS_Store", "data/sub/more", "data/.nfs00a1"]) {
    await fs.writeFile(join(folder, path), "mine")
  }
  await inStore(
    out,
    Effect.gen(function* () {
      const { unit, store } = yield* unitAndStore
      const stored = yield* store.stored(unit)
      expect(stored).toMatchObject({
        status: "done",
        damaged: expect.stringMatching(/ notes.txt, data.sub.more$/),
      })
      const [aside] = yield* store.setAside(unit)
      const kept = join(aside!.to!, "artifacts", basename(folder))
      expect((yield* Effect.promise(() => fs.readdir(kept, { recursive: true }))).sort()).toEqual([
        "data",
        "data/sub",
        "data/sub/more",
        "notes.txt",
      ])
      expect(yield* store.stored(unit)).not.toHaveProperty("damaged")
      expect(yield* store.open(unit)).toBe(join(folder, "data"))
    }),
  )
})

test("of processes that open a damaged artifact at once, one sets it aside and all say what was damaged", async () => {
  const { folder } = await inStore(out, written())
  const entries = await fs.readdir(join(folder, "data"), { recursive: true, withFileTypes: true })
  const file = entries.find((entry) => entry.isFile())!
  const path = join(file.parentPath, file.name)
  const content = await fs.readFile(path)
  content[0] = content[0]! ^ 1
  await fs.writeFile(path, content)
  const opening = () =>
    inStore(
      out,
      Effect.gen(function* () {
        const { unit, store } = yield* unitAndStore
        return yield* Effect.flip(store.open(unit))
      }),
    )
  const errors = await Promise.all(Array.from({ length: 8 }, opening))
  expect(errors.map(({ _tag }) => _tag)).toEqual(errors.map(() => "DamagedArtifact"))
  expect(errors.filter(({ message }) => message.includes("set aside in"))).toHaveLength(1)
  expect(await fs.readdir(join(out, "damaged"))).toHaveLength(1)
})

test("an artifact in the place of another is damage", async () => {
  const { folder } = await inStore(out, written())
  const other = folder.replace(/.{8}$/, "01234567")
  await fs.rename(folder, other)
  expect(await inspect(other)).toEqual({
    status: "damaged",
    what: `manifest.json: it is of another unit, ${basename(folder)}`,
  })
})

test("an artifact of an earlier version of this program is made again, without a word", async () => {
  const { folder } = await inStore(out, written())
  const path = join(folder, "manifest.json")
  await fs.writeFile(path, (await fs.readFile(path, "utf8")).replace(/\n "seal": .*/, ""))
  const stored = inStore(
    out,
    Effect.gen(function* () {
      const { unit, store } = yield* unitAndStore
      expect(yield* store.setAside(unit)).toEqual([])
      expect(yield* store.stored(unit)).toEqual({ status: "absent" })
      yield* written("4 5 6")
      return yield* store.stored(unit)
    }),
  )
  expect((await stored).status).toBe("done")
})

test("a failure is recorded unless there is an artifact, and gives way to one", async () => {
  const failure = { kind: "plugin", reason: "no luck" } as const
  await inStore(
    out,
    Effect.gen(function* () {
      const { unit, store } = yield* unitAndStore
      yield* store.writeFailure(unit, failure)
      expect(yield* store.stored(unit)).toMatchObject({ status: "absent", failed: failure })
      yield* store.writeDivergence(
        unit,
        new UnitFailure({ outcome: "diverged", reason: "NaN", step: 3 }),
        making,
      )
      expect(yield* store.stored(unit)).toMatchObject({
        status: "diverged",
        record: { reason: "NaN", step: 3 },
      })
      yield* written()
      yield* store.writeFailure(unit, failure)
      expect((yield* store.stored(unit)).status).toBe("done")
    }),
  )
})

test("what is lost of the code that a record names is written anew", async () => {
  const { folder } = await inStore(out, written())
  const [name] = await fs.readdir(join(out, "sources"))
  const path = join(out, "sources", name!)
  const before = await fs.readFile(path, "utf8")
  const restore = () =>
    inStore(
      out,
      Effect.flatMap(unitAndStore, ({ unit, store }) => store.restoreCode(unit)),
    )
  expect(await restore()).toEqual([])
  await fs.writeFile(path, before.replace('": "', '": "x'))
  const [aside] = await restore()
  expect(aside).toMatchObject({
    of: `sources/${name}`,
    found: "its content has changed since it was written",
  })
  expect(await fs.readFile(path, "utf8")).toBe(before)
  await fs.rm(path)
  expect(await restore()).toEqual([])
  expect(await fs.readFile(path, "utf8")).toBe(before)
  expect(await fs.readdir(folder)).toContain("manifest.json")
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

test("half-written artifacts of killed processes are removed, finished ones are kept", async () => {
  const { folder } = await inStore(out, written())
  const half = join(out, "tmp", "1-0123abcd", "0123")
  await fs.mkdir(half, { recursive: true })
  await fs.utimes(join(out, "tmp", "1-0123abcd"), 0, 0)
  // Another process may still be writing this, and its own folder is removed when it is gone.
  const others = ["0123456789abcdef", "1-4567cdef"]
  for (const name of others) await fs.mkdir(join(out, "tmp", name))
  // Killed between the two steps of replacing, the first time; after them, the second.
  await fs.rename(folder, `${folder}.0123abcd.old`)
  await inStore(
    out,
    Effect.flatMap(Store, (store) => store.removeHalfWritten),
  )
  expect(await fs.readdir(join(out, "artifacts"))).toEqual([basename(folder)])
  await fs.cp(folder, `${folder}.0123abcd.old`, { recursive: true })
  await inStore(
    out,
    Effect.flatMap(Store, (store) => store.removeHalfWritten),
  )
  expect(await fs.readdir(join(out, "artifacts"))).toEqual([basename(folder)])
  expect((await fs.readdir(join(out, "tmp"))).sort()).toEqual(others)
})

test("a manifest cannot name a file outside its folder", async () => {
  const { folder } = await inStore(out, written())
  const path = join(folder, "manifest.json")
  const { seal: _, ...manifest } = JSON.parse(await fs.readFile(path, "utf8"))
  const files = [{ ...manifest.files[0], path: "../../../secret" }]
  await fs.writeFile(path, sealedText({ ...manifest, files }))
  expect(await inspect(folder)).toMatchObject({
    status: "damaged",
    what: "../../../secret points outside its folder",
  })
})
