import { describe, expect, test } from "bun:test"
import { type } from "arktype"
import { Effect } from "effect"
import { component, componentOf } from "../../../core/api/component.ts"
import { pipeline } from "../../../core/api/pipeline.ts"
import { pipelineParameters, type Settable, settings } from "../../../core/engine/settings.ts"
import { settingText } from "../../../core/io/options.ts"

const definition = pipeline({
  name: "declared",
  summary: "Parameters of every kind",
  parameters: type({
    "+": "reject",
    seeds: type("number.integer >= 0")
      .array()
      .atLeastLength(1)
      .default(() => [1]),
    lr: type("0 < number < 1")
      .array()
      .atLeastLength(1)
      .default(() => [1e-5]),
    size: "'tiny' | 'mini' = 'tiny'",
    steps: "number.integer >= 1 = 10",
    folder: "string = ''",
    arms: type("string[]").default(() => ["vanilla"]),
    keep: "boolean = false",
  }),
  build: () => ({}),
})

const read = (...settings: readonly string[]) => Effect.runPromise(pipelineParameters(definition, settings))
const refused = async (...settings: readonly string[]) =>
  (await Effect.runPromise(Effect.flip(pipelineParameters(definition, settings)))).message

test("defaults apply if nothing is set", async () => {
  expect(await read()).toEqual({
    seeds: [1],
    lr: [1e-5],
    size: "tiny",
    steps: 10,
    folder: "",
    arms: ["vanilla"],
    keep: false,
  })
})

test("the declaration decides how a text is read", async () => {
  expect(await read("seeds=1..3,7", "lr=1e-5,2e-5", "steps=20", "keep=true")).toMatchObject({
    seeds: [1, 2, 3, 7],
    lr: [1e-5, 2e-5],
    steps: 20,
    keep: true,
  })
  expect(await read("seeds=4", "lr=0.5", "arms=simcse")).toMatchObject({
    seeds: [4],
    lr: [0.5],
    arms: ["simcse"],
  })
  expect(await read("folder=1e5", "arms=1,true")).toMatchObject({ folder: "1e5", arms: ["1", "true"] })
  expect(await read("folder=a,b=c")).toMatchObject({ folder: "a,b=c" })
})

test("a misspelt name is reported with the name probably meant, along with all other problems", async () => {
  const message = await refused("sedes=1", "lr=0", "size=huge", "steps=1.5")
  expect(message).toContain("there is no parameter sedes; did you mean seeds?")
  expect(message).toContain("--set lr=0: lr[0] must be positive (was 0)")
  expect(message).toContain("--set size=huge: size must be")
  expect(message).toContain("--set steps=1.5: steps must be an integer")
  expect(await refused("size=tniy")).toBe(
    'declared: --set size=tniy: size must be "mini" or "tiny" (was "tniy"); did you mean tiny?',
  )
})

test("invalid learning rates are refused", async () => {
  for (const rate of ["0", "-1e-5", "NaN", "x", ""]) expect(await refused(`lr=${rate}`)).toContain("lr")
})

test("empty lists, invalid ranges, repeated settings and settings without a name are refused", async () => {
  expect(await refused("seeds=")).toContain("seeds")
  const expected = "expected a range of integers such as 1..30, found "
  expect(await refused("seeds=3..1")).toBe(
    `declared: --set seeds=3..1: ${expected}3..1, which ends before it starts`,
  )
  expect(await refused("seeds=1..1e9")).toContain("expected a list of at most 10000 values, found 1000000000")
  expect(await refused(`arms=${"a,".repeat(40)}1..0`)).toContain(`--set arms=${"a,".repeat(27)}…: `)
  expect(await refused("seeds=1..2.5")).toContain(`${expected}1..2.5`)
  expect(await refused("seeds=1..")).toContain(`${expected}1..`)
  expect(await refused("seeds=..3")).toContain(`${expected}..3`)
  expect(await refused("lr=true")).toContain("must be a number (was true)")
  expect(await refused("lr=NaN")).toContain('(was "NaN")')
  expect(await refused("seeds=1", "seeds=2")).toBe(
    "declared: --set seeds=2: seeds is already set by --set seeds=1",
  )
  expect(await refused("seeds")).toBe("declared: --set seeds: expected name=value")
})

test("a list is counted before it is made, with all its ranges", async () => {
  expect(await refused("seeds=1..100000,1..100000")).toBe(
    "declared: --set seeds=1..100000,1..100000: expected a list of at most 10000 values, found 200000",
  )
  expect(await refused("seeds=1..9007199254740991")).toContain("found 9007199254740991")
  expect(await read("seeds=1..10000")).toMatchObject({ seeds: { length: 10_000 } })
})

test("of a long list of wrong values only the first are judged", async () => {
  const message = await refused("lr=1..10000")
  expect(message).toContain("lr[0] must be less than 1 (was 1)")
  expect(message).toEndWith("and 80 more")
})

test("a text of more characters than a setting can need is refused with their number", async () => {
  expect(await refused(`folder=${"x".repeat(60_000)}`)).toContain(
    "expected at most 50000 characters, found 60007",
  )
  // Digits and dots that are no range.
  expect(await refused(`lr=${"1.".repeat(20_000)}x`)).toContain("lr")
})

test("the error is about the reading that has the right type, whatever else the text could mean", async () => {
  expect(await refused("seeds=1,-1")).toContain("seeds[1] must be non-negative (was -1)")
  expect(await refused("seeds=")).toContain("seeds must be non-empty")
  expect(await refused("steps=1,2")).toContain("steps must be a number (was [1,2])")
})

test("a missing parameter is reported, unless its text was refused", async () => {
  const demanding = pipeline({
    name: "demanding",
    summary: "A required parameter",
    parameters: type({ "+": "reject", data: "string > 0", seeds: "number[]" }),
    build: () => ({}),
  })
  const message = async (...settings: readonly string[]) =>
    (await Effect.runPromise(Effect.flip(pipelineParameters(demanding, settings)))).message
  expect(await message("seeds=1")).toBe("demanding: data must be given (non-empty text), with --set data=…")
  expect(await message("seeds=3..1", "data=x")).toBe(
    "demanding: --set seeds=3..1: expected a range of integers such as 1..30, found 3..1, which ends before it starts",
  )
})

describe("components", () => {
  const scale = component({
    role: "scaling",
    name: "times",
    module: import.meta.url,
    options: type({ "+": "reject", factor: "0 < number < 10 = 2", exact: "boolean = false" }),
    make: () => ({}),
  })
  const shift = component({
    role: "shifting",
    name: "plus-one",
    module: import.meta.url,
    options: type({ "+": "reject" }),
    make: () => ({}),
  })
  const settable: Settable = {
    what: "walk",
    kind: "option",
    schema: type({
      "+": "reject",
      "scaling?": componentOf("scaling"),
      "shifting?": componentOf("shifting").or("null"),
      "name?": "string",
    }),
    components: [scale, shift],
  }
  const chosen = async (...assignments: readonly string[]) =>
    JSON.parse(JSON.stringify(await Effect.runPromise(settings(settable, assignments))))
  const problem = async (...assignments: readonly string[]) =>
    (await Effect.runPromise(Effect.flip(settings(settable, assignments)))).message

  test("are named, with options as help writes them", async () => {
    const plain = { scaling: { times: { factor: 2, exact: false } } }
    for (const text of ["times", "times()", "times({})", " times ( { } ) "]) {
      expect(await chosen(`scaling=${text}`)).toEqual(plain)
    }
    const given = { scaling: { times: { factor: 0.5, exact: true } } }
    expect(await chosen("scaling=times({ factor: 5e-1, exact: true })")).toEqual(given)
    const shown = settingText(scale({ factor: 0.5, exact: true }))
    expect(await chosen(`scaling=${shown}`)).toEqual(given)
    expect(await chosen("shifting=plus-one")).toEqual({ shifting: { "plus-one": {} } })
    expect(await chosen("shifting=null")).toEqual({ shifting: null })
    // Where text is declared, the name of a component is text.
    expect(await chosen("name=times")).toEqual({ name: "times" })
    expect(await chosen("name=null")).toEqual({ name: "null" })
  })

  test("are refused by name, by role, and by their own options", async () => {
    expect(await problem("scaling=tims")).toBe(
      "walk: --set scaling=tims: there is no scaling tims; did you mean times?",
    )
    expect(await problem("scaling=plus-one")).toBe(
      "walk: --set scaling=plus-one: there is no scaling plus-one; known: times",
    )
    expect(await problem("shifting=3")).toBe(
      "walk: --set shifting=3: there is no shifting 3; known: plus-one",
    )
    expect(await problem("scaling=times({ factr: 1 })")).toBe(
      "walk: --set scaling=times({ factr: 1 }): the scaling times: there is no option factr; did you mean factor?",
    )
    expect(await problem("scaling=times({ factor: 10 })")).toContain("factor must be less than 10 (was 10)")
    expect(await problem("scalin=times")).toBe(
      "walk: --set scalin=times: there is no option scalin; did you mean scaling?",
    )
  })
})

test("what comes before the names is repeated in every message", async () => {
  const message = async (...assignments: readonly string[]) =>
    (await Effect.runPromise(Effect.flip(pipelineParameters(definition, assignments, "pipeline.")))).message
  expect(await message("steps=0")).toBe("declared: --set pipeline.steps=0: steps must be at least 1 (was 0)")
  expect(await message("steps=1", "steps=2")).toContain("steps is already set by --set pipeline.steps=1")
})
