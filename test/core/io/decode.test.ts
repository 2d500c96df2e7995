import { expect, test } from "bun:test"
import { InvalidInput } from "../../../core/io/decode.ts"

const message = (...problems: readonly string[]) => new InvalidInput({ what: "mini", problems }).message

test("one problem is on the line of what was read, several have a line each", () => {
  expect(message("lr must be positive (was 0)")).toBe("mini: lr must be positive (was 0)")
  expect(message("a is missing", "b is missing")).toBe("mini:\n  a is missing\n  b is missing")
})

test("one slip floods no screen, and no terminal obeys it", () => {
  const many = message(...Array.from({ length: 100_001 }, (_, i) => `seeds[${i}] must be non-negative`))
  expect(many.split("\n")).toHaveLength(22)
  expect(many).toEndWith("  seeds[19] must be non-negative\n  and 99981 more")
  expect(message(`lr must be a number (was "${"1".repeat(1e5)}")`)).toHaveLength(407)
  expect(message('lr must be a number (was "\n\x1b[31m")')).toBe(
    'mini: lr must be a number (was "\\n\\x1b[31m")',
  )
})
