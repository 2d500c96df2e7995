import { afterEach, beforeEach, describe, expect, mock, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { plugin } from "../../../core/api/plugin.ts"
import { checkFiles } from "../../../core/engine/check-files.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import { readText } from "../../../core/io/files.ts"
import { source } from "../sample/plugins.ts"
import { carryOut, inStore, planOfTargets } from "../sample/study.ts"

let folder: string
let cache: string | undefined
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "kasosei-check-"))
  cache = process.env["XDG_CACHE_HOME"]
  process.env["XDG_CACHE_HOME"] = join(folder, "cache")
})
afterEach(async () => {
  if (cache === undefined) delete process.env["XDG_CACHE_HOME"]
  else process.env["XDG_CACHE_HOME"] = cache
  await fs.rm(folder, { recursive: true, force: true })
})

/** Told of every check that is made. */
const asked = mock((_path: string) => {})
beforeEach(() => void asked.mockClear())

/** A file that must hold the word `good`. */
const word = plugin({
  name: "word",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "A word",
  options: type({ "+": "reject", path: "string", wanted: "string = 'good'" }),
  takes: {},
  gives: source.gives,
  usesBackend: false,
  reads: ({ path }) => [path],
  checkFiles: Effect.fnUntraced(function* ({ path, wanted }) {
    asked(path)
    const found = yield* readText(path, 100)
    if (found !== wanted) {
      return yield* new InvalidInput({ what: path, problems: [`expected ${wanted}, found ${found}`] })
    }
  }),
  estimate: () => ({ artifact: { count: 1 }, cost: cost({}) }),
  run: () => Effect.succeed([1]),
})

const file = async (name: string, content: string): Promise<string> => {
  const path = join(folder, name)
  await fs.writeFile(path, content)
  return path
}
type Words = Readonly<Record<string, ReturnType<typeof word>>>
const checkPlan = (words: Words) =>
  inStore(join(folder, "out"), Effect.flatMap(planOfTargets(words), checkFiles))
const refusal = (words: Words) =>
  inStore(join(folder, "out"), Effect.flip(Effect.flatMap(planOfTargets(words), checkFiles))).then(
    (error) => (error as InvalidInput).problems,
  )

describe("the files that a plan reads", () => {
  test("are refused with the problems of all units", async () => {
    const [one, two] = [await file("one", "bad"), await file("two", "x".repeat(101))]
    const good = await file("three", "good")
    const words = { one: word({ path: one }), two: word({ path: two }), three: word({ path: good }) }
    expect(await refusal(words)).toEqual([
      expect.stringContaining(`${one}: expected good, found bad`),
      expect.stringContaining(`cannot read ${two}: expected at most 100 bytes, found 101`),
    ])
  })

  test("that passed are checked again only when they or the options change", async () => {
    const path = await file("one", "good")
    await checkPlan({ one: word({ path }) })
    await checkPlan({ one: word({ path }) })
    expect(asked).toHaveBeenCalledTimes(1)
    await refusal({ one: word({ path, wanted: "better" }) })
    await refusal({ one: word({ path, wanted: "better" }) })
    expect(asked).toHaveBeenCalledTimes(3)
    const edited = await file("edited", "worse")
    await refusal({ one: word({ path: edited }) })
    expect(asked).toHaveBeenCalledTimes(4)
    // A damaged record counts as none.
    await fs.writeFile(join(folder, "cache", "kasosei", "checked-files.json"), "[".repeat(1000))
    await checkPlan({ one: word({ path }) })
    expect(asked).toHaveBeenCalledTimes(5)
  })

  test("of finished units are not asked about", async () => {
    const targets = { one: word({ path: await file("one", "bad") }) }
    await inStore(join(folder, "out"), Effect.flatMap(planOfTargets(targets), carryOut))
    await checkPlan(targets)
    expect(asked).not.toHaveBeenCalled()
  })
})
