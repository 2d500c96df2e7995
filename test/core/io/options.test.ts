import { expect, test } from "bun:test"
import { type } from "arktype"
import { describeOptions, nearestName, optionProblems } from "../../../core/io/options.ts"

const Options = type({
  "+": "reject",
  path: "string > 0",
  "limit?": "number.integer >= 1",
  dropout: "0 <= number < 1 = 0.1",
  seeds: type("number.integer >= 0")
    .array()
    .default(() => [1, 2]),
})

test("options are described by name, with what is expected and the default", () => {
  const described = describeOptions(Options)
  expect([...described].sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
    { name: "dropout", expected: "number < 1 & >= 0", fallback: "0.1" },
    { name: "limit", expected: "integer & >= 1", fallback: null },
    { name: "path", expected: "non-empty string", fallback: undefined },
    { name: "seeds", expected: expect.stringContaining("[]"), fallback: "[1,2]" },
  ])
  const narrowed = Options.narrow(({ path }) => path !== "x")
  expect(describeOptions(narrowed)).toEqual(described)
})

const problems = (given: unknown) => {
  const out = Options(given)
  return out instanceof type.errors ? [...optionProblems(Options, out)].sort() : []
}

test("all that is wrong is told at once, with what was found", () => {
  expect(problems({ path: "a" })).toEqual([])
  expect(problems({ dropuot: 0.2, dropout: 1, seeds: [1, -1], limit: "ten" })).toEqual([
    "dropout must be less than 1 (was 1)",
    'limit must be a number (was "ten")',
    "path must be a string (was missing)",
    "seeds[1] must be non-negative (was -1)",
    "there is no option dropuot; did you mean dropout?",
  ])
  expect(problems({ path: "a", colour: 1 })).toEqual([
    expect.stringMatching(/^there is no option colour; it knows .*dropout/),
  ])
})

test("the nearest name is at most two edits away", () => {
  const known = ["seed", "seeds", "lr"]
  expect(nearestName("seedz", known)).toBe("seed")
  expect(nearestName("sseds", known)).toBe("seeds")
  expect(nearestName("ssed", known)).toBe("seed")
  expect(nearestName("rl", known)).toBe("lr")
  expect(nearestName("rate", known)).toBeUndefined()
})
