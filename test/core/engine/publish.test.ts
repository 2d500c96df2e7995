import { afterAll, expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { parametersDigest, type Report, readReport, reportFolders } from "../../../core/engine/publish.ts"

const root = await fs.mkdtemp(join(tmpdir(), "kasosei-publish-"))
afterAll(() => fs.rm(root, { recursive: true, force: true }))

const record: Report = {
  pipeline: "sample",
  parameters: { lr: [1, 2], seeds: [1] },
  command: "kasosei pipeline sample.ts",
  made: "2026-11-26T12:00:00.000Z",
  targets: { report: ["a".repeat(64)] },
  files: { "report/index.html": "b".repeat(64) },
}

test("parameters have the same digest whatever their order, and another one with a branch", () => {
  const digest = parametersDigest({ lr: [1, 2], seeds: [1] })
  // printf '{"lr":[1,2],"seeds":[1]}' | sha256sum
  expect(digest).toBe("724aec7ee91c")
  expect(parametersDigest({ seeds: [1], lr: [1, 2] })).toBe(digest)
  const branched = parametersDigest({ lr: [1, 2], seeds: [1] }, { run: "seed=1", at: 2, set: ["gain=2"] })
  expect(new Set([digest, branched, parametersDigest({ lr: [1, 2], seeds: [2] })]).size).toBe(3)
})

test("the reports of a folder are found, of branches too, and nothing is followed out of it", async () => {
  const out = join(root, "found")
  const reports = ["sample/0123456789ab", "sample/branch-lr=1@2/ba9876543210", "other.study/000000000000"]
  const others = ["sample/latest", "artifacts/000000000000", "sample/report", "sample/branch/x/000000000000"]
  for (const path of [...reports, ...others]) {
    await fs.mkdir(join(out, path), { recursive: true })
    await fs.writeFile(join(out, path, "report.json"), JSON.stringify(record))
  }
  await fs.mkdir(join(out, "sample", "aaaaaaaaaaaa"))
  await fs.symlink(join(out, "sample", "0123456789ab"), join(out, "sample", "bbbbbbbbbbbb"))
  await fs.symlink(join(out, "sample"), join(out, "linked"))
  const found = await Effect.runPromise(reportFolders(out))
  expect(found).toEqual(reports.map((path) => join(out, path)).sort())
  expect(await Effect.runPromise(readReport(found[0]!))).toEqual(record)
  expect(await Effect.runPromise(reportFolders(join(root, "absent")))).toEqual([])
})

test.each<[string, object | string]>([
  ["is not JSON", "{"],
  ["has a key that is not known", { ...record, more: 1 }],
  ["lacks one", { ...record, targets: undefined }],
  ["names a file outside its folder", { ...record, files: { "report/../../x": "b".repeat(64) } }],
  ["names a file by an absolute path", { ...record, files: { "/etc/passwd": "b".repeat(64) } }],
  ["has a digest that is none", { ...record, files: { "report/index.html": "b" } }],
])("a report.json that %s is refused", async (_, content) => {
  const folder = await fs.mkdtemp(join(root, "damaged-"))
  const path = join(folder, "report.json")
  await fs.writeFile(path, typeof content === "string" ? content : JSON.stringify(content))
  const error = await Effect.runPromise(Effect.flip(readReport(folder)))
  expect(error.message).toContain(path)
})
