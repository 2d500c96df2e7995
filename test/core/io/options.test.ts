import { expect, test } from "bun:test"
import { type } from "arktype"
import { describeOptions, optionProblems, settingText } from "../../../core/io/options.ts"
import { lion } from "../../../core/tensor/optimisers/lion.ts"
import { linearSchedule } from "../../../core/tensor/schedules/linear.ts"

const Options = type({
  "+": "reject",
  path: "string > 0",
  "limit?": "number.integer >= 1",
  dropout: "0 <= number < 1 = 0.1",
  seeds: type("number.integer >= 0")
    .array()
    .default(() => [1, 2]),
})

test("options are described by name, expected value and default", () => {
  const described = describeOptions(Options)
  expect([...described].sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
    { name: "dropout", expected: "number >= 0 and < 1", fallback: "0.1" },
    { name: "limit", expected: "integer >= 1", fallback: null },
    { name: "path", expected: "non-empty text", fallback: undefined },
    { name: "seeds", expected: "list of integers >= 0", fallback: "1,2" },
  ])
  const narrowed = Options.narrow(({ path }) => path !== "x")
  expect(describeOptions(narrowed)).toEqual(described)
})

test("a component is shown as the call that makes it", () => {
  expect(settingText(linearSchedule({}))).toBe("linear({})")
  expect(settingText(lion({ beta1: 0.5 }))).toMatch(/^lion\(\{ beta1: 0.5, .*\}\)$/)
})

const problems = (given: unknown) => {
  const out = Options(given)
  return out instanceof type.errors ? [...optionProblems(Options, out)].sort() : []
}

test("all problems are reported at once, each with what was found", () => {
  expect(problems({ path: "a" })).toEqual([])
  expect(problems({ dropuot: 0.2, dropout: 1, seeds: [1, -1], limit: "ten" })).toEqual([
    "dropout must be less than 1 (was 1)",
    'limit must be a number (was "ten")',
    "path must be given (non-empty text)",
    "seeds[1] must be non-negative (was -1)",
    "there is no option dropuot; did you mean dropout?",
  ])
  expect(problems({ path: "a", colour: 1 })).toEqual([
    expect.stringMatching(/^there is no option colour; known: .*dropout/),
  ])
})

test("an unknown option within another is refused with the name that was probably meant", () => {
  const schema = type({ "+": "reject", steps: { "+": "reject", at: "number[]", last: "boolean = false" } })
  const found = (given: unknown) => optionProblems(schema, schema(given) as type.errors)
  expect(found({ steps: { at: [1], lsat: true } })).toEqual([
    "there is no option steps.lsat; did you mean steps.last?",
  ])
  expect(found({ steps: { at: [1], colour: 1 } })).toEqual([
    "there is no option steps.colour; known: steps.at, steps.last",
  ])
})

test("types are described in words", () => {
  const words = (schema: type.Any) => describeOptions(type({ option: schema }))[0]!.expected
  expect(words(type("string"))).toBe("text")
  expect(words(type("number"))).toBe("number")
  expect(words(type("1 <= number.integer <= 9"))).toBe("integer from 1 to 9")
  expect(words(type("0 < number <= 100"))).toBe("number > 0 and <= 100")
  expect(words(type("number % 4"))).toBe("multiple of 4")
  expect(words(type("number % 4").describe("a multiple of 4, the number of heads"))).toBe(
    "multiple of 4, the number of heads",
  )
  expect(words(type("boolean"))).toBe("true | false")
  expect(words(type("'tiny' | 'mini'"))).toBe("'mini' | 'tiny'")
  expect(words(type("'a' | 'b'").array().atLeastLength(1))).toBe("non-empty list of ('a' | 'b')")
  expect(words(type("string > 0").array())).toBe("list of non-empty texts")
  expect(words(type({ at: "number.integer[]", "every?": "number > 0 | 'warmup'" }))).toBe(
    "{ at: list of integers, every?: number > 0 | 'warmup' }",
  )
  expect(words(type("Record<string, string>"))).toBe("{ [string]: string }")
})

test("a default is shown as one types it, a long list truncated", () => {
  expect(settingText(1e-5)).toBe("1e-5")
  expect(settingText([5e-6, 1e-5])).toBe("5e-6,1e-5")
  expect(settingText([1, 2])).toBe("1,2")
  expect(settingText([3, 4, 5])).toBe("3..5")
  expect(settingText([1, 3, 5])).toBe("1,3,5")
  expect(settingText([1, 2, 4, 8, 16, 32, 64, 128, 256])).toBe("1,2,4,8,16,32,64,128,…")
  expect(settingText("tiny")).toBe("tiny")
  expect(settingText("")).toBe("''")
  expect(settingText(false)).toBe("false")
  expect(settingText({ at: [0] })).toBe('{"at":[0]}')
})

test("a string that is not accepted is reported with those that are, and the one probably meant", () => {
  const Named = type({
    size: type("'tiny' | 'mini'").or({ layers: "number" }).describe("tiny, mini or { layers }", "self"),
  })
  const refused = (given: unknown) => {
    const out = Named(given)
    return out instanceof type.errors ? optionProblems(Named, out) : []
  }
  expect(refused({ size: "mni" })).toEqual([
    'size must be tiny, mini or { layers } (was "mni"); did you mean mini?',
  ])
  expect(refused({ size: "enormous" })).toEqual(['size must be tiny, mini or { layers } (was "enormous")'])
  expect(refused({ size: { layers: "two" } })).toEqual(['size.layers must be a number (was "two")'])
})
