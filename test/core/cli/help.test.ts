import { describe, expect, test } from "bun:test"
import { help, widest } from "./answer.ts"

describe("--help", () => {
  test("of a command lists its flags", async () => {
    const general = await help("pipeline --help")
    expect(general).toContain("bun run pipeline [flags] <file>\n")
    expect(general).toContain("Folder for artifacts and reports (default: out)\n")
    expect(general).not.toContain("--completions")
    expect(await help("--help")).toContain("--completions")
  })

  test.each([40, 80, 200])("fits a terminal of %d columns, 100 at most", async (columns) => {
    for (const line of [
      "pipeline --help",
      "pipeline quickstart.ts --help",
      "new --help",
      "bench mlm --help",
    ]) {
      expect(widest(await help(line, columns))).toBeLessThanOrEqual(Math.min(columns, 100))
    }
  })
})
