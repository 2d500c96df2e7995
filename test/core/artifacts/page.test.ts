import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { Page } from "../../../core/artifacts/page.ts"
import { artifactFolder } from "./artifact-folder.ts"

const { path, write, read } = artifactFolder()

test("a page is its files by path, without the folders between", async () => {
  const files = new Map<string, string | Uint8Array>([
    ["index.html", "<p>"],
    ["figures/one.svg", "<svg>"],
  ])
  await write(Page, files)
  expect(await read(Page)).toEqual({ folder: path(), files: ["figures/one.svg", "index.html"] })
  expect(readFileSync(path("figures", "one.svg"), "utf8")).toBe("<svg>")
})
