import { expect, test } from "bun:test"
import { type } from "arktype"
import { type Component, component, componentOf, componentsIn } from "../../../core/api/component.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import { canonicalJson } from "../../../core/io/digest.ts"

type Scaling = Component<"scaling"> & { readonly scale: (x: number) => number }

const times = component({
  role: "scaling",
  name: "times",
  module: import.meta.url,
  options: type({ "+": "reject", factor: "0 < number < 10 = 2", "inner?": "unknown" }),
  make: ({ factor }) => ({ scale: (x: number) => factor * x }),
})
const Options = type({
  "+": "reject",
  scaling: componentOf<Scaling>("scaling").default(() => times({})),
})

test("an option takes a component, by default the one that the plugin names", () => {
  expect(Options.assert({}).scaling.scale(3)).toBe(6)
  const { scaling } = Options.assert({ scaling: times({ factor: 0.5 }) })
  expect(scaling.scale(3)).toBe(1.5)
  expect(scaling.module).toBe(import.meta.url)
})

test("JSON has the component's name and options, defaults filled in, and nothing else", () => {
  expect(canonicalJson(Options.assert({}))).toBe('{"scaling":{"times":{"factor":2}}}')
})

test("wrong options are refused where the component is made", () => {
  expect(() => times({ factor: 10 })).toThrow(InvalidInput)
  expect(() => times({ factor: 10 })).toThrow("the scaling times: factor must be less than 10 (was 10)")
  expect(() => times({ factr: 1 } as object)).toThrow("there is no option factr; did you mean factor?")
})

test("an option refuses what is no component, and one of another role", () => {
  const other = component({
    role: "loss",
    name: "other",
    module: import.meta.url,
    options: type({}),
    make: () => ({}),
  })
  for (const wrong of [3, null, {}, times, other({})]) {
    expect(String(Options({ scaling: wrong } as never))).toContain("scaling must be a scaling")
  }
})

test("components inside others and in lists are found", () => {
  const inner = times({ factor: 3 })
  const found = componentsIn({ list: [times({ inner })], plain: { x: 1, y: null } })
  expect(found.map(({ options }) => options["factor"])).toEqual([2, 3])
})
