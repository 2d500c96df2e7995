import { describe, expect, test } from "bun:test"
import { answer } from "./answer.ts"

describe("what is set for a pipeline", () => {
  const refusal = async (assignment: string) => {
    const { stdout, stderr, failure } = await answer(
      `pipeline quickstart.ts --plan --backend wasm --set ${assignment}`,
    )
    expect([stdout, stderr]).toEqual(["", ""])
    return (failure as Error).message
  }

  test.each([
    ["hidden=50", "hidden must be a multiple of 4, the number of heads, from 4 to 65536 (was 50)"],
    ["hidden=0", "hidden must be a multiple of 4, the number of heads, from 4 to 65536 (was 0)"],
    ["train=4", "train must be at least 16 (was 4)"],
    ["layers=1e9", "layers must be at most 1024 (was 1000000000)"],
    ["layers=1,2", "layers must be a number (was [1,2])"],
    ["lr=1e-5,1e-5", "lr must be a list of different values (was [0.00001,0.00001])"],
    ["seeds=", "seeds must be non-empty"],
    ["samples=257", "samples must be at most 256 (was 257)"],
  ])("%s is refused by the name of the parameter", async (assignment, problem) => {
    expect(await refusal(assignment)).toBe(`quickstart: --set ${assignment}: ${problem}`)
  })

  test("is repeated if a plugin refuses the option that it became", async () => {
    expect(await refusal("epochs=0.0001")).toMatch(
      /^the pipeline cannot be built \(with --set epochs=0\.0001\): fisher: [^\n]*$/,
    )
  })
})
