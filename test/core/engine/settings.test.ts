import { expect, test } from "bun:test"
import { type } from "arktype"
import { Effect } from "effect"
import { pipeline } from "../../../core/api/pipeline.ts"
import { parametersOf } from "../../../core/engine/settings.ts"

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

const read = (...settings: readonly string[]) => Effect.runPromise(parametersOf(definition, settings))
const refused = async (...settings: readonly string[]) =>
  (await Effect.runPromise(Effect.flip(parametersOf(definition, settings)))).message

test("defaults stand where nothing is set", async () => {
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

test("a slip in a name is answered with the name that was meant, beside all other problems", async () => {
  const message = await refused("sedes=1", "lr=0", "size=huge", "steps=1.5")
  expect(message).toContain("there is no option sedes; did you mean seeds?")
  expect(message).toContain("lr[0] must be positive (was 0)")
  expect(message).toContain("size must be")
  expect(message).toContain("steps must be an integer")
})

test("learning rates that are no rates are refused", async () => {
  for (const rate of ["0", "-1e-5", "NaN", "x", ""]) expect(await refused(`lr=${rate}`)).toContain("lr")
})

test("empty lists, ranges that run backwards, doubled and nameless settings are refused", async () => {
  expect(await refused("seeds=")).toContain("seeds")
  const expected = "--set seeds: a range of integers such as 1..30 was expected, found "
  expect(await refused("seeds=3..1")).toContain(`${expected}3..1, whose end comes before its start`)
  expect(await refused("seeds=1..1e9")).toContain(`${expected}1..1e9, which has more than 100000 values`)
  expect(await refused("seeds=1..2.5")).toContain(`${expected}1..2.5`)
  expect(await refused("lr=NaN")).toContain('(was "NaN")')
  expect(await refused("seeds=1", "seeds=2")).toContain("given twice")
  expect(await refused("seeds")).toContain("name=value was expected")
})
