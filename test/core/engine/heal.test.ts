import { afterEach, beforeEach, expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { Effect } from "effect"
import { carryOutHealing, damagedLines, setAsideDamaged } from "../../../core/engine/heal.ts"
import { type Plan, unitStates } from "../../../core/engine/plan.ts"
import { folderName } from "../../../core/engine/store/record.ts"
import { Store } from "../../../core/engine/store/store.ts"
import { exists } from "../../../core/io/files.ts"
import { carryOut, inStore, planSample } from "../sample/study.ts"

let root: string
beforeEach(async () => {
  root = await fs.mkdtemp(join(tmpdir(), "kasosei-heal-"))
})
afterEach(() => fs.rm(root, { recursive: true, force: true }))

const small = ["lr=1", "seeds=1", "observe=2"]

/** Runs the sample as the command does, and reads its report as publishing does. */
const run = (out: string) =>
  inStore(
    out,
    Effect.gen(function* () {
      const lines: string[] = []
      const planning = Effect.gen(function* () {
        const plan = yield* planSample(...small)
        lines.push(...(yield* setAsideDamaged(plan)))
        return plan
      })
      const first = yield* planning
      const { summary } = yield* carryOutHealing(
        first,
        planning,
        (plan) => carryOut(plan),
        ({ graph }) => Effect.flatMap(Store, (store) => store.open(graph.targets["report"]![0]!)),
        (line) => lines.push(line),
      )
      return { ...summary, lines, first }
    }),
  )

/** Each file of the artifacts and of `sources`, by its path; of manifests what equal ones have in common. */
const content = async (out: string) => {
  const found = new Map<string, string>()
  for (const room of ["artifacts", "sources"]) {
    for (const entry of await fs.readdir(join(out, room), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const text = await fs.readFile(path, "utf8")
      const told = entry.name === "manifest.json" ? JSON.parse(text).digest : text
      found.set(path.slice(out.length + 1), told)
    }
  }
  return found
}

/** Removes what is made from the artifact in a folder, directly or not: only then does a run need that artifact. */
const removeMadeFrom = async (out: string, name: string, { graph }: Plan) => {
  const keys = [name.slice(-20)]
  for (const key of keys) {
    for (const unit of graph.units) {
      if (!JSON.stringify([unit.parts.inputs, unit.parts.watched]).includes(key)) continue
      await fs.rm(join(out, "artifacts", folderName(unit.plugin.name, unit.key)), {
        recursive: true,
        force: true,
      })
      keys.push(unit.key)
    }
  }
}

const flip = async (path: string) => {
  const bytes = await fs.readFile(path)
  bytes[bytes.length >> 1]! ^= 1
  await fs.writeFile(path, bytes)
}

test("a flipped bit in any file is noticed and healed by the next run that needs the file", async () => {
  const whole = join(root, "whole")
  const { first } = await run(whole)
  const before = await content(whole)
  expect(before.size).toBeGreaterThan(10)
  for (const [path, text] of before) {
    // An empty file has no bit.
    if (text === "") continue
    const out = join(root, "out")
    await fs.cp(whole, out, { recursive: true })
    await flip(join(out, path))
    if (path.startsWith("artifacts")) await removeMadeFrom(out, path.split("/")[1]!, first)
    const { failures, lines } = await run(out)
    expect(failures).toEqual([])
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^damaged: .*(its content has changed since it was written|no manifest)/)
    const [aside] = await fs.readdir(join(out, "damaged"))
    expect(lines[0]).toEndWith(`set aside in ${join(out, "damaged", aside!)}`)
    expect([...(await content(out))].sort()).toEqual([...before].sort())
    expect((await run(out)).made).toBe(0)
    await fs.rm(out, { recursive: true })
  }
}, 120_000)

test("what only shows when it is read is made anew with its inputs, if they are gone, and then what needed it", async () => {
  const { first } = await run(root)
  const before = await content(root)
  const [source, walk] = ["sample-source", "sample-walk"].map((plugin) =>
    first.graph.units.find((unit) => unit.plugin.name === plugin),
  )
  const [from, to] = [source!, walk!].map(({ plugin, key }) =>
    join(root, "artifacts", folderName(plugin.name, key)),
  )
  const [file] = (await fs.readdir(join(to!, "data"))).toSorted()
  await flip(join(to!, "data", file!))
  await fs.rm(from!, { recursive: true })
  await removeMadeFrom(root, basename(to!), first)
  const { made, failures, lines } = await run(root)
  expect(failures).toEqual([])
  expect(lines).toEqual([expect.stringContaining(walk!.label)])
  expect(made).toBeGreaterThanOrEqual(3)
  expect(await content(root)).toEqual(before)
})

test("a plan says what a run would set aside, and leaves it", async () => {
  await run(root)
  const [name] = await fs.readdir(join(root, "artifacts"))
  const manifest = join(root, "artifacts", name!, "manifest.json")
  await fs.truncate(manifest)
  const { lines, states } = await inStore(
    root,
    Effect.map(planSample(...small), (plan) => ({
      lines: damagedLines(plan),
      states: new Map(
        [...unitStates(plan)].map(([unit, state]) => [folderName(unit.plugin.name, unit.key), state]),
      ),
    })),
  )
  expect(lines).toEqual([
    expect.stringMatching(/^damaged: .*: manifest.json: it is empty; a run sets it aside$/),
  ])
  expect(states.get(name!)).not.toBe("done")
  expect(await Effect.runPromise(exists(manifest))).toBe(true)
})
