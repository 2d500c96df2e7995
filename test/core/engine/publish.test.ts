import { afterAll, describe, expect, spyOn, test } from "bun:test"
import { createHash } from "node:crypto"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, dirname, join, relative } from "node:path"
import { setImmediate } from "node:timers/promises"
import { type } from "arktype"
import { Effect, Fiber, Result } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { UnitFailure } from "../../../core/api/failure.ts"
import { cohort, type Targets } from "../../../core/api/pipeline.ts"
import { plugin } from "../../../core/api/plugin.ts"
import { Page } from "../../../core/artifacts/page.ts"
import {
  checkReportFolder,
  type Publication,
  parametersDigest,
  publish,
  type Report,
  readReport,
  reportFolder,
  reportFolders,
} from "../../../core/engine/publish.ts"
import { sealedText } from "../../../core/engine/store/seal.ts"
import { smallDisk } from "../../small-disk.ts"
import { carryOut, inStore, planOfTargets } from "../sample/study.ts"

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
    await fs.writeFile(join(out, path, "report.json"), sealedText(record))
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
  ["is empty", ""],
  ["was changed by one character", sealedText(record).replace("aaa", "aab")],
  ["has a key that is not known", { ...record, more: 1 }],
  ["lacks one", { ...record, targets: undefined }],
  ["names a file outside its folder", { ...record, files: { "report/../../x": "b".repeat(64) } }],
  ["names a file by an absolute path", { ...record, files: { "/etc/passwd": "b".repeat(64) } }],
  ["has a digest that is none", { ...record, files: { "report/index.html": "b" } }],
])("a report.json that %s is refused", async (_, content) => {
  const folder = await fs.mkdtemp(join(root, "damaged-"))
  const path = join(folder, "report.json")
  await fs.writeFile(path, typeof content === "string" ? content : sealedText(content))
  const error = await Effect.runPromise(Effect.flip(readReport(folder)))
  expect(error.message).toContain(path)
})

// --- publishing --------------------------------------------------------------------------------------------

/** A page of the files that it is given. */
const written = plugin({
  name: "written",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary: "Given files",
  options: type({ "+": "reject", files: "Record<string, string>", broken: "boolean = false" }),
  takes: {},
  gives: Page,
  usesBackend: false,
  estimate: () => ({ artifact: {}, cost: cost({}) }),
  run: ({ options }) =>
    options.broken
      ? Effect.fail(new UnitFailure({ outcome: "failed", reason: "asked to fail" }))
      : Effect.succeed(new Map(Object.entries(options.files))),
})

let folders = 0
const freshOut = () => join(root, `out-${++folders}`)

const publicationIn = (out: string, parameters: object = { lr: [1] }): Publication => ({
  out,
  pipeline: "sample",
  parameters,
  command: "kasosei pipeline sample.ts",
})

type Pages = Readonly<Record<string, Readonly<Record<string, string>>>>

const nodesOf = (pages: Pages) =>
  Object.fromEntries(Object.entries(pages).map(([target, files]) => [target, written({ files })]))

/** Makes what the targets need, and publishes it. */
const published = (publication: Publication, targets: Targets) =>
  inStore(
    publication.out,
    Effect.gen(function* () {
      const plan = yield* planOfTargets(targets)
      const summary = yield* carryOut(plan)
      return yield* Effect.result(publish(publication, plan.graph, summary))
    }),
  )

const publishes = async (publication: Publication, targets: Targets) => {
  const result = await published(publication, targets)
  if (Result.isFailure(result)) throw result.failure
  return result.success
}

/** The message with which it is refused. */
const refuses = async (publication: Publication, targets: Targets): Promise<string> => {
  const result = await published(publication, targets)
  if (Result.isSuccess(result)) throw new Error("it was published")
  return result.failure.message
}

/** What is in a folder: the text of each file, and where each link points to. Without what changes in each publication. */
const contentOf = async (folder: string): Promise<Readonly<Record<string, string>>> => {
  const entries = await fs.readdir(folder, { recursive: true, withFileTypes: true })
  const texts = entries
    .filter((entry) => !entry.isDirectory() && !["summary.json", "report.json"].includes(entry.name))
    .map(async (entry) => {
      const path = join(entry.parentPath, entry.name)
      return [
        relative(folder, path),
        await (entry.isSymbolicLink() ? fs.readlink(path) : fs.readFile(path, "utf8")),
      ]
    })
  return Object.fromEntries((await Promise.all(texts)).sort())
}

const put = async (path: string, text: string) => {
  await fs.mkdir(dirname(path), { recursive: true })
  await fs.writeFile(path, text)
}

const kept = "Finished work is kept: then the same command only publishes the report"
const first: Pages = {
  report: { "index.html": "one", "figures/1.svg": "<svg>" },
  table: { "table.csv": "1" },
}
const second: Pages = { report: { "index.html": "two", "figures/2.svg": "<svg>" } }

describe("a report", () => {
  test("is the pages of its targets, a summary, and a record of files and units", async () => {
    const publication = publicationIn(freshOut())
    const { pages, notes } = await publishes(publication, nodesOf(first))
    const folder = reportFolder(publication)
    expect(folder).toBe(join(publication.out, "sample", parametersDigest({ lr: [1] })))
    expect(pages).toEqual([join(folder, "report", "index.html"), join(folder, "table")])
    expect(notes).toEqual([])
    expect(await contentOf(folder)).toEqual({
      "report/figures/1.svg": "<svg>",
      "report/index.html": "one",
      "table/table.csv": "1",
    })
    const report = await Effect.runPromise(readReport(folder))
    const { targets } = (await inStore(publication.out, planOfTargets(nodesOf(first)))).graph
    expect(report).toMatchObject({
      pipeline: "sample",
      parameters: { lr: [1] },
      command: "kasosei pipeline sample.ts",
      targets: { report: [targets["report"]![0]!.key], table: [targets["table"]![0]!.key] },
    })
    const digests = ["report/figures/1.svg", "report/index.html", "summary.json", "table/table.csv"].map(
      async (path) => [
        path,
        createHash("sha256")
          .update(await fs.readFile(join(folder, path)))
          .digest("hex"),
      ],
    )
    expect(report.files).toEqual(Object.fromEntries(await Promise.all(digests)))
    expect(await fs.readlink(join(publication.out, "sample", "latest"))).toBe(parametersDigest({ lr: [1] }))
    expect(await Effect.runPromise(reportFolders(publication.out))).toEqual([folder])
  })

  test("of other parameters is another one, and the same parameters are the same one", async () => {
    const out = freshOut()
    const [one, two] = [publicationIn(out), publicationIn(out, { lr: [2] })]
    await publishes(one, nodesOf(first))
    await publishes(two, nodesOf(second))
    const latest = () => fs.readlink(join(out, "sample", "latest"))
    expect(join(out, "sample", await latest())).toBe(reportFolder(two))
    const { ino } = await fs.stat(join(reportFolder(one), "report", "index.html"))
    await publishes(one, nodesOf(first))
    expect(join(out, "sample", await latest())).toBe(reportFolder(one))
    // What is the same is not written again.
    expect((await fs.stat(join(reportFolder(one), "report", "index.html"))).ino).toBe(ino)
    expect(await contentOf(reportFolder(two))).toEqual({
      "report/figures/2.svg": "<svg>",
      "report/index.html": "two",
    })
  })

  test("of a branch has a folder of its own, which its step and what changes are part of", async () => {
    const publication = publicationIn(freshOut())
    await publishes(publication, nodesOf(first))
    const branch = (at: number) => ({
      ...publication,
      branch: { request: { run: "seed=1", at, set: ["gain=2"] }, name: `branch-gain=2@${at}` },
    })
    await publishes(branch(2), nodesOf(second))
    const [, folder] = await Effect.runPromise(reportFolders(publication.out))
    expect(folder).toBe(reportFolder(branch(2)))
    expect(dirname(folder!)).toBe(join(publication.out, "sample", "branch-gain=2@2"))
    expect((await Effect.runPromise(readReport(folder!))).branch).toEqual(branch(2).branch.request)
    expect(basename(reportFolder(branch(3)))).not.toBe(basename(reportFolder(branch(2))))
    expect(await fs.readlink(join(dirname(folder!), "latest"))).toBe(basename(folder!))
    // The pipeline's own stays the latest of the pipeline.
    expect(await fs.readlink(join(publication.out, "sample", "latest"))).toBe(
      basename(reportFolder(publication)),
    )
  })

  test("of several pages in one target has a folder for each", async () => {
    const publication = publicationIn(freshOut())
    const runs = cohort({ arm: "a/b" }, [1, 2], (seed) =>
      written({ files: { "index.html": `seed ${seed}` } }),
    )
    const { pages } = await publishes(publication, { runs: [runs] })
    expect(pages.map((page) => relative(reportFolder(publication), page))).toEqual([
      "runs/written-arm=a-b-seed=1/index.html",
      "runs/written-arm=a-b-seed=2/index.html",
    ])
    expect(await Promise.all(pages.map((page) => fs.readFile(page, "utf8")))).toEqual(["seed 1", "seed 2"])
  })

  test("that cannot be made this time stays as it was, and this is told", async () => {
    const publication = publicationIn(freshOut())
    await publishes(publication, nodesOf(first))
    const folder = reportFolder(publication)
    const before = await contentOf(folder)
    const keys = (await Effect.runPromise(readReport(folder))).targets["report"]!
    const failing = { ...nodesOf(first), report: written({ files: {}, broken: true }) }
    const { pages, notes } = await publishes(publication, failing)
    expect(pages).toEqual([join(folder, "table")])
    expect(notes).toEqual([`${join(folder, "report")} is of an earlier run: it could not be made this time`])
    expect(await contentOf(folder)).toEqual(before)
    const report = await Effect.runPromise(readReport(folder))
    expect(Object.keys(report.files)).toContain("report/index.html")
    expect(report.targets["report"]).toHaveLength(2)
    expect(report.targets["report"]).toContain(keys[0]!)
    // Its files are still known to be no user's.
    expect((await publishes(publication, nodesOf(second))).notes).toEqual([])
    expect(await contentOf(folder)).toEqual({ "report/figures/2.svg": "<svg>", "report/index.html": "two" })
  })
})

describe("what a user puts among reports", () => {
  test("stays, beside a report and in it, whether there is something to publish or not", async () => {
    const publication = publicationIn(freshOut())
    await publishes(publication, nodesOf(first))
    const folder = reportFolder(publication)
    const notes = [
      join(publication.out, "sample", "notes.md"),
      join(publication.out, "sample", "report", "index.html"),
      join(folder, "notes.md"),
      join(folder, "report", "notes.md"),
      join(folder, "report", "figures", "notes.md"),
      join(folder, "table", "notes.md"),
    ]
    for (const path of notes) await put(path, "mine")
    for (const pages of [first, second, first]) {
      expect((await publishes(publication, nodesOf(pages))).notes).toEqual([])
      for (const path of notes) expect(await fs.readFile(path, "utf8")).toBe("mine")
    }
  })

  test("is not overwritten where a page's file would be: nothing is published until it is moved", async () => {
    const publication = publicationIn(freshOut())
    const folder = reportFolder(publication)
    await publishes(publication, nodesOf(first))
    const mine = join(folder, "report", "figures", "2.svg")
    await put(mine, "mine")
    const before = await contentOf(folder)
    expect(await refuses(publication, nodesOf(second))).toBe(
      `the report was not published: cannot write ${mine}: there is a file that was not published from here. Move it to another place. ${kept}`,
    )
    expect(await contentOf(folder)).toEqual(before)
    await fs.rename(mine, join(folder, "mine.svg"))
    await publishes(publication, nodesOf(second))
    expect(await contentOf(folder)).toEqual({
      "mine.svg": "mine",
      "report/figures/2.svg": "<svg>",
      "report/index.html": "two",
    })
  })

  test("is kept under another name if it is a change to a page that is published anew", async () => {
    const publication = publicationIn(freshOut())
    await publishes(publication, nodesOf(first))
    const page = join(reportFolder(publication), "report", "index.html")
    for (const [pages, text] of [
      [second, "two"],
      [first, "one"],
    ] as const) {
      await fs.writeFile(page, `annotated before ${text}`)
      const { notes } = await publishes(publication, nodesOf(pages))
      const [, spare] = /^(?:.*) was changed since it was published: kept as (.*)$/.exec(notes.join())!
      expect(await fs.readFile(spare!, "utf8")).toBe(`annotated before ${text}`)
      expect(await fs.readFile(page, "utf8")).toBe(text)
    }
  })

  test("is left if it is a change to a file that the page no longer has", async () => {
    const publication = publicationIn(freshOut())
    await publishes(publication, nodesOf(first))
    const [figure, table] = ["report/figures/1.svg", "table/table.csv"].map((path) =>
      join(reportFolder(publication), path),
    )
    await fs.writeFile(figure!, "annotated")
    const { notes } = await publishes(publication, nodesOf(second))
    expect(notes).toEqual([
      `${figure} was changed since it was published: left, though the report no longer has it`,
    ])
    expect(await fs.readFile(figure!, "utf8")).toBe("annotated")
    await expect(fs.stat(dirname(table!))).rejects.toThrow("ENOENT")
    expect((await publishes(publication, nodesOf(second))).notes).toEqual([])
  })

  test("as `latest` is left, and this is told", async () => {
    for (const mine of ["file", "folder", "link"] as const) {
      const publication = publicationIn(freshOut())
      const latest = join(publication.out, "sample", "latest")
      await fs.mkdir(dirname(latest), { recursive: true })
      if (mine === "file") await fs.writeFile(latest, "0123456789ab")
      else await (mine === "folder" ? put(join(latest, "notes"), "mine") : fs.symlink("../elsewhere", latest))
      const before = await contentOf(join(publication.out, "sample"))
      const { notes } = await publishes(publication, nodesOf(first))
      expect(notes).toEqual([`${latest} was not made here: left, though it is not the latest report`])
      expect(await contentOf(join(publication.out, "sample"))).toMatchObject(before)
      expect((await fs.readdir(dirname(latest))).sort()).toEqual([
        basename(reportFolder(publication)),
        "latest",
      ])
    }
  })
})

describe("something else in the place of a folder of ours is refused, before anything runs too:", () => {
  const places: readonly string[] = [
    "sample",
    "sample/DIGEST",
    "sample/DIGEST/report",
    "sample/DIGEST/report.json",
  ]
  for (const place of places) {
    test(`a symbolic link as ${place}`, async () => {
      const publication = publicationIn(freshOut())
      const path = join(publication.out, place.replace("DIGEST", basename(reportFolder(publication))))
      const elsewhere = join(root, `elsewhere-${folders}`)
      await put(join(elsewhere, "report", "index.html"), "other people's")
      await put(join(elsewhere, "file"), sealedText(record))
      await fs.mkdir(dirname(path), { recursive: true })
      await fs.symlink(place.endsWith(".json") ? join(elsewhere, "file") : elsewhere, path)
      const before = await contentOf(elsewhere)
      const message = `cannot use ${path}: expected a ${place.endsWith(".json") ? "file" : "folder"}, found a symbolic link. Move it to another place`
      expect(await refuses(publication, nodesOf(first))).toBe(
        `the report was not published: ${message}. ${kept}`,
      )
      const { graph } = await inStore(publication.out, planOfTargets(nodesOf(first)))
      const error = await Effect.runPromise(Effect.flip(checkReportFolder(publication, graph, false)))
      expect(error.message).toBe(message)
      expect(await contentOf(elsewhere)).toEqual(before)
    })
  }

  test("a symbolic link inside a page, and in the place of its file", async () => {
    const publication = publicationIn(freshOut())
    const elsewhere = join(root, `elsewhere-${folders}`)
    await put(join(elsewhere, "1.svg"), "other people's")
    for (const place of ["report/figures", "report/figures/1.svg"]) {
      const path = join(reportFolder(publication), place)
      await fs.mkdir(dirname(path), { recursive: true })
      await fs.symlink(place.endsWith(".svg") ? join(elsewhere, "1.svg") : elsewhere, path)
      expect(await refuses(publication, nodesOf(first))).toContain(path)
      await fs.unlink(path)
    }
    // A page that is removed does not take along what a link leads to.
    await publishes(publication, nodesOf(first))
    const figures = join(reportFolder(publication), "report", "figures")
    await fs.rename(figures, `${figures}-mine`)
    await put(join(elsewhere, "1.svg"), "<svg>")
    await fs.symlink(elsewhere, figures)
    await publishes(publication, nodesOf({ table: first["table"]! }))
    expect(await contentOf(elsewhere)).toEqual({ "1.svg": "<svg>" })
  })

  test("a file as the pipeline's folder, and a folder as a page's file", async () => {
    const publication = publicationIn(freshOut())
    const folder = join(publication.out, "sample")
    await put(folder, "mine")
    expect(await refuses(publication, nodesOf(first))).toContain(
      `cannot use ${folder}: expected a folder, found a file. Move it to another place`,
    )
    await fs.unlink(folder)
    const page = join(reportFolder(publication), "report", "index.html")
    await put(join(page, "notes"), "mine")
    expect(await refuses(publication, nodesOf(first))).toContain(`cannot write ${page}: there is a folder`)
    expect(await fs.readFile(join(page, "notes"), "utf8")).toBe("mine")
  })

  test("the copy of another report", async () => {
    const out = freshOut()
    const [one, two] = [publicationIn(out), publicationIn(out, { lr: [2] })]
    await publishes(one, nodesOf(first))
    await fs.cp(reportFolder(one), reportFolder(two), { recursive: true })
    expect(await refuses(two, nodesOf(second))).toContain(
      `cannot use ${join(reportFolder(two), "report.json")}: it is of other parameters`,
    )
    expect(await contentOf(reportFolder(two))).toEqual(await contentOf(reportFolder(one)))
  })
})

describe("a publication that went wrong", () => {
  test("and was cut off is completed by the next, whatever that publishes", async () => {
    // A process that is killed leaves some of the new files, and a journal that lists them all.
    for (const next of [first, second, { report: { "index.html": "three" } }]) {
      const [publication, other] = [publicationIn(freshOut()), publicationIn(freshOut())]
      await publishes(publication, nodesOf(first))
      await publishes(other, nodesOf(second))
      const [folder, complete] = [reportFolder(publication), reportFolder(other)]
      const stage = join(folder, "publishing.0123abcd.tmp")
      await fs.cp(complete, stage, { recursive: true })
      await fs.rename(join(stage, "report", "figures", "2.svg"), join(folder, "report", "figures", "2.svg"))
      await fs.rename(join(stage, "report", "index.html"), join(folder, "report", "index.html"))
      expect((await publishes(publication, nodesOf(next))).notes).toEqual([])
      const whole = publicationIn(freshOut())
      await publishes(whole, nodesOf(next))
      expect(await contentOf(folder)).toEqual(await contentOf(reportFolder(whole)))
    }
  })

  test("is not left half-way by a stop: either the old report is there, or the new one", async () => {
    const publication = publicationIn(freshOut())
    await publishes(publication, nodesOf(second))
    const wholes = [await contentOf(reportFolder(publication))]
    await publishes(publication, nodesOf(first))
    wholes.push(await contentOf(reportFolder(publication)))
    for (const [pages, turns] of [
      [second, 0],
      [second, 1],
      [second, 20],
      [first, 5],
      [second, 100],
      [first, 1000],
    ] as const) {
      await inStore(
        publication.out,
        Effect.gen(function* () {
          const plan = yield* planOfTargets(nodesOf(pages))
          const summary = yield* carryOut(plan)
          const publishing = yield* Effect.forkChild(publish(publication, plan.graph, summary))
          for (let i = 0; i < turns; i++) yield* Effect.promise(() => setImmediate())
          yield* Fiber.interrupt(publishing)
        }),
      )
      expect(wholes).toContainEqual(await contentOf(reportFolder(publication)))
      expect(await fs.readdir(reportFolder(publication))).not.toContainEqual(
        expect.stringContaining("publishing"),
      )
    }
  })

  test("is not mixed with another one at the same time: first one is published, then the other", async () => {
    const publication = publicationIn(freshOut())
    const three = { report: { "index.html": "three", "figures/3.svg": "<svg>" } }
    const all = await Promise.all(
      [first, second, three].map((pages) => publishes(publication, nodesOf(pages))),
    )
    expect(all.map(({ notes }) => notes)).toEqual([[], [], []])
    const whole = [first, second, three].map((pages) =>
      Object.fromEntries(
        Object.entries(pages).flatMap(([target, files]) =>
          Object.entries(files).map(([path, text]) => [`${target}/${path}`, text]),
        ),
      ),
    )
    expect(whole).toContainEqual(await contentOf(reportFolder(publication)))
  })

  test("left a record that is damaged: it is kept under another name, and all is published again", async () => {
    for (const pages of [first, second]) {
      const publication = publicationIn(freshOut())
      await publishes(publication, nodesOf(first))
      const path = join(reportFolder(publication), "report.json")
      await fs.writeFile(path, (await fs.readFile(path, "utf8")).replace('"files"', '"fines"'))
      const { notes } = await publishes(publication, nodesOf(pages))
      expect(notes).toContainEqual(
        expect.stringMatching(
          /report\.json was damaged since it was published: kept as .*report\.json\.damaged-/,
        ),
      )
      expect(await contentOf(reportFolder(publication))).toMatchObject({
        "report/index.html": pages["report"]!["index.html"]!,
      })
      expect((await publishes(publication, nodesOf(pages))).notes).toEqual([])
    }
  })

  test("points to the latest report by a text file where there are no symbolic links", async () => {
    const out = freshOut()
    const linking = spyOn(fs, "symlink").mockImplementation(() =>
      Promise.reject(Object.assign(new Error("no links"), { code: "ENOTSUP" })),
    )
    try {
      for (const lr of [1, 2]) {
        const publication = publicationIn(out, { lr: [lr] })
        expect((await publishes(publication, nodesOf(first))).notes).toEqual([])
        const latest = await fs.readFile(join(out, "sample", "latest.txt"), "utf8")
        expect(latest).toBe(`${basename(reportFolder(publication))}\n`)
      }
      await fs.writeFile(join(out, "sample", "latest.txt"), "mine")
      const { notes } = await publishes(publicationIn(out), nodesOf(first))
      expect(notes).toEqual([
        `${join(out, "sample", "latest.txt")} was not made here: left, though it is not the latest report`,
      ])
    } finally {
      linking.mockRestore()
    }
  })
})

const disk = smallDisk(256)
afterAll(() => disk?.remove())

describe.skipIf(disk === undefined)("on a disk that is", () => {
  const publication = () => ({ ...publicationIn(join(disk!.folder, "out")) })

  test("full, nothing changes, and the message says so", async () => {
    const folder = reportFolder(publication())
    await publishes(publication(), nodesOf(first))
    const before = await contentOf(folder)
    const large = nodesOf({ report: { "index.html": "two", "large.csv": "x".repeat(64_000) } })
    await inStore(
      publication().out,
      Effect.flatMap(planOfTargets(large), (plan) => carryOut(plan)),
    )
    const filler = join(disk!.folder, "filler")
    await fs.writeFile(filler, "x".repeat(300_000)).catch(() => undefined)
    const message = await refuses(publication(), large)
    expect(message).toStartWith(`the report was not published: cannot `)
    expect(message).toEndWith(`: the disk is full. Free some space. ${kept}`)
    expect(await contentOf(folder)).toEqual(before)
    await fs.unlink(filler)
    await publishes(publication(), large)
    expect(Object.keys(await contentOf(folder))).toEqual(["report/index.html", "report/large.csv"])
  })

  test("read-only, the message says so", async () => {
    await publishes(publication(), nodesOf(first))
    await inStore(
      publication().out,
      Effect.flatMap(planOfTargets(nodesOf(second)), (plan) => carryOut(plan)),
    )
    const { graph } = await inStore(publication().out, planOfTargets(nodesOf(second)))
    disk!.makeReadOnly()
    try {
      // A plan writes nothing; a run is refused before it begins.
      await Effect.runPromise(checkReportFolder(publication(), graph, false))
      const early = await Effect.runPromise(Effect.flip(checkReportFolder(publication(), graph, true)))
      expect(early.message).toBe(
        `cannot write in ${join(publication().out, "sample")}: the file system is read-only. Make it writable`,
      )
      expect(await refuses(publication(), nodesOf(second))).toEndWith(
        `: the file system is read-only. Make it writable. ${kept}`,
      )
    } finally {
      disk!.makeWritable()
    }
    await publishes(publication(), nodesOf(second))
  })
})
