import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import {
  formatBytes,
  formatFlops,
  formatSeconds,
  plural,
  printable,
  quoted,
} from "../../../core/io/format.ts"

test.each([
  [0, "0.0 s"],
  [9.94, "9.9 s"],
  [10, "10 s"],
  [89.4, "89 s"],
  [90, "2 min"],
  [3599, "1 h"],
  [3600 * 2 + 300, "2 h 5 min"],
  [3600 * 47.99, "47 h 59 min"],
  [86400 * 3 + 3600 * 4 + 100, "3 d 4 h"],
])("%d seconds are %s", (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text)
})

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [999.6, "1.0 kB"],
  [1340, "1.3 kB"],
  [123_456, "123 kB"],
  [999_950, "1.0 MB"],
  [1.34e9, "1.3 GB"],
  [2.5e18, "2500 PB"],
])("%d bytes are %s, never 1000 of the smaller unit", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text)
})

test("floating-point operations and counts", () => {
  expect(formatFlops(3.14e15)).toBe("3.1 PFLOP")
  expect([plural(0, "run"), plural(1, "run"), plural(2, "run")]).toEqual(["0 runs", "1 run", "2 runs"])
  expect([plural(1, "process"), plural(2, "process")]).toEqual(["1 process", "2 processes"])
})

test("words of a command line are quoted where a shell would read something else", () => {
  expect(["pipeline", "--set", "lr=1e-5,2e-5", "seeds=1..5", "/a/b.ts"].map(quoted).join(" ")).toBe(
    "pipeline --set lr=1e-5,2e-5 seeds=1..5 /a/b.ts",
  )
  const awkward = ["", "a b", "it's", "$HOME", "~", "a;b", "*", "\\", "seeds=1\n2"]
  const { stdout } = spawnSync("sh", ["-c", `printf '%s\\0' ${awkward.map(quoted).join(" ")}`], {
    encoding: "utf8",
  })
  expect(stdout.split("\0").slice(0, -1)).toEqual(awkward)
})

test("control characters are escaped, so that a terminal does not obey them", () => {
  expect(printable("\x1b[31mred\x1b]0;title\x07")).toBe("\\x1b[31mred\\x1b]0;title\\x07")
  expect(printable("a\nb\tc\u009b\u202e")).toBe("a\\nb\\tc\\u009b\\u202e")
  expect(printable("a\nb\r", "\n")).toBe("a\nb\\r")
  expect(printable("\u200f\u061c\u2028\x7f")).toBe("\\u200f\\u061c\\u2028\\u007f")
  expect(printable("naïve 可塑性 👍")).toBe("naïve 可塑性 👍")
})

test("JSON whose control characters are escaped is the same JSON", () => {
  const value = { "\u009bkey": ["\x1b]0;\x07", "\u202eright to left\u2066", "\x7f\r\n\t"] }
  const text = printable(JSON.stringify(value, null, 1), "\n")
  expect(text).toMatch(/^[\n -~]+$/)
  expect(JSON.parse(text)).toEqual(value)
})
