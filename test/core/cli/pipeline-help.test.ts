import { describe, expect, test } from "bun:test"
import { answer, help, widest } from "./answer.ts"

describe("--help", () => {
  test("of a pipeline lists its parameters with their types, defaults and comments", async () => {
    const quickstart = await help("pipeline --jobs 2 quickstart.ts --help")
    expect(quickstart).toContain("quickstart: The embedded toy language, offline, in minutes\n")
    expect(quickstart).toContain("bun run pipeline quickstart.ts [--set name=value ...] [flags]\n")
    expect(quickstart).toContain(
      "  layers              integer from 1 to 1024 (default 2)\n                      Layers of the encoder.\n",
    )
    // The first parameter, and one whose type goes over two lines.
    expect(quickstart).toContain(
      "\nPARAMETERS\n  dropout             list of numbers >= 0 and < 1 (default 0.1)\n",
    )
    expect(quickstart).toContain(
      "  seeds               non-empty list of integers from 0 to 4294967295 (default\n                      1..3)\n",
    )
    expect(quickstart).toContain("--jobs N")
    expect(widest(quickstart)).toBeLessThanOrEqual(80)
    expect(await help("pipeline mini.ts -h")).toMatch(/^ {2}glue +non-empty text \(required\)$/m)
  })

  test("of a missing pipeline is refused as running it would be", async () => {
    const { stdout, failure } = await answer("pipeline quikstart.ts --help")
    expect([stdout, (failure as Error).message]).toEqual([
      "",
      "quikstart.ts: there is no such file; did you mean quickstart.ts?",
    ])
  })

  test("does not mistake values of flags for the pipeline file", async () => {
    expect(await help("pipeline --out x --set a=b --help")).toBe(await help("pipeline --help"))
  })
})
