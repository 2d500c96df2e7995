import { afterAll, beforeAll, expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { docCommentsOf } from "../../../core/engine/doc-comments.ts"

let folder: string
beforeAll(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "kasosei-comments-"))
})
afterAll(() => fs.rm(folder, { recursive: true, force: true }))

const file = async (name: string, text: string) => {
  const path = join(folder, name)
  await fs.writeFile(path, text)
  return path
}

const comments = async (path: string, owner: string, property: "parameters" | "options") =>
  Object.fromEntries(await docCommentsOf(path, owner, property))

test("the comment on a property is above it, or after it on its line", async () => {
  const path = await file(
    "above.ts",
    `export default pipeline({
  name: "above",
  parameters: type({
    "+": "reject",
    /** Of the {@link encoder}. */
    layers: "number",
    /**
     * More than one line,
     * in one.
     */
    "hidden?": type("number").describe("x"),
    // a line
    steps: "number",
    behind: "number", // behind it
    bare: "number",

    /** Not of what comes after an empty line. */

    far: "number",
  }),
})`,
  )
  expect(await comments(path, "above", "parameters")).toEqual({
    layers: "Of the encoder.",
    hidden: "More than one line, in one.",
    steps: "a line",
    behind: "behind it",
    bare: "",
    far: "",
  })
  expect([...(await docCommentsOf(path, "above", "parameters")).keys()]).toEqual([
    "layers",
    "hidden",
    "steps",
    "behind",
    "bare",
    "far",
  ])
})

test("the declaration may be a constant, narrowed, and spread from another file", async () => {
  await file("shared.ts", `export const duration = {\n  /** How long. */\n  "steps?": "number",\n} as const`)
  const path = await file(
    "plugin.ts",
    `import { duration as lasting } from "./shared.ts"
import { lost } from "./absent.ts"
const Options = type({
  ...lasting,
  ...lost,
  /** How fast. */
  lr: "number",
}).narrow(({ lr }) => lr > 0)
export const one = plugin({ name: "one", options: Options })
export const two = plugin({ name: "two", options: type({ /** Two's. */ other: "number" }) })`,
  )
  expect(await comments(path, "one", "options")).toEqual({ steps: "How long.", lr: "How fast." })
  expect(await comments(path, "two", "options")).toEqual({ other: "Two's." })
})

test("what is spread and declared again keeps its comment, unless it has another", async () => {
  const path = await file(
    "again.ts",
    `const shared = {
  /** How fast. */
  lr: "number",
  /** How long. */
  steps: "number",
}
export default pipeline({
  name: "again",
  parameters: type({
    ...shared,
    lr: "number = 1",
    /** How short. */
    steps: "number = 2",
  }),
})`,
  )
  expect(await comments(path, "again", "parameters")).toEqual({ lr: "How fast.", steps: "How short." })
})

test("a source that is written in another way, or cannot be read, gives no comments", async () => {
  const path = await file("other.ts", `export default make("other", type(await load()))`)
  expect(await comments(path, "other", "parameters")).toEqual({})
  expect(await comments(join(folder, "absent.ts"), "absent", "options")).toEqual({})
  const broken = await file("broken.ts", `export default pipeline({ name: "broken", parameters: type({`)
  expect(await comments(broken, "broken", "parameters")).toEqual({})
})

test("every parameter of the pipelines here has a comment", async () => {
  for (const name of ["quickstart", "mini", "paper"]) {
    const path = join(import.meta.dir, "..", "..", "..", "pipelines", `${name}.ts`)
    const found = Object.entries(await comments(path, name, "parameters"))
    expect(found.length).toBeGreaterThan(10)
    expect(found.filter(([, comment]) => comment === "")).toEqual([])
  }
})
