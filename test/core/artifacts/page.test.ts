import { expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
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

test("a page with a file outside of it is refused, and nothing is written", async () => {
  const outside = [
    "../x.html",
    "figures/../../x.svg",
    "/tmp/x.html",
    "",
    "figures//x.svg",
    "./x.html",
    "a\u0000b",
  ]
  const given = new Map([["index.html", "<p>"], ...outside.map((name) => [name, "x"] as const)])
  await expect(write(Page, given)).rejects.toThrow(
    `a page:\n${outside.map((name) => `  expected a path inside the page, found ${JSON.stringify(name)}`).join("\n")}`,
  )
  expect(existsSync(path("index.html"))).toBe(false)
})
