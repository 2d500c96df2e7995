import { expect, test } from "bun:test"
import { duplicateKey } from "../../../core/io/duplicate-key.ts"
import { deepestJson, parseJson } from "../../../core/io/json.ts"

const nested = (depth: number, open: string, close: string) => `${open.repeat(depth)}0${close.repeat(depth)}`

test("JSON is read as JSON.parse reads it", () => {
  for (const text of ['{"a":[1,{"b":"]}\\\\\\"["}],"c":null}', '"[[["', "[]", " 3 ", '["\\u005b"]']) {
    expect(parseJson(text)).toEqual(JSON.parse(text))
  }
  for (const text of ["", "[", '{"a"', '"', '"\\', "]", "nul"])
    expect(() => parseJson(text)).toThrow(SyntaxError)
})

test("JSON that is nested deeper than any file needs is refused with the number", () => {
  for (const [open, close] of [
    ["[", "]"],
    ['{"a":', "}"],
  ] as const) {
    expect(() => parseJson(nested(deepestJson, open, close))).not.toThrow()
    for (const depth of [deepestJson + 1, 1e6]) {
      expect(() => parseJson(nested(depth, open, close))).toThrow("more than 100 brackets are open at once")
    }
  }
  // Brackets in strings are none.
  expect(parseJson(JSON.stringify("[".repeat(1e6)))).toHaveLength(1e6)
})

test("a key that is there twice is found, however it is written, and whatever strings there are", () => {
  expect(duplicateKey('{"a":1,"b":{"a":2},"\\u0061":3}')).toBe("a")
  expect(duplicateKey('{"a":"a","b":["a","a",{"c":"\\"a\\":"}]}')).toBeUndefined()
  expect(duplicateKey(`{"a":${JSON.stringify('\\n"'.repeat(1e5))},"a":1}`)).toBe("a")
})
