import { describe, expect, test } from "bun:test"
import { rounded, toCsv } from "../../../../plugins/report/shared/records.ts"
import { decimal, interval, learningRate, pValue } from "../../../../plugins/report/study-page/format.ts"

describe("CSV", () => {
  test("RFC 4180: CRLF, quotes where needed and doubled inside", () => {
    const rows = [["SimCSE(0.1), large", 'said "no"', "two\nlines"] as const, ["plain", 1e-5, true] as const]
    expect(toCsv({ columns: ["a", "b", "c"], rows })).toBe(
      'a,b,c\r\n"SimCSE(0.1), large","said ""no""","two\nlines"\r\nplain,0.00001,true\r\n',
    )
  })

  test("unknown and non-finite values are empty fields", () => {
    const rows = [[null, Number.NaN, Infinity, 0, ""] as const]
    expect(toCsv({ columns: ["a", "b", "c", "d", "e"], rows })).toBe("a,b,c,d,e\r\n,,,0,\r\n")
  })

  test("rounding hides only the last bits", () => {
    expect(rounded(0.1 + 0.2)).toBe(0.3)
    expect(rounded(1 / 3)).toBe(0.333333333333)
    expect(rounded(null)).toBeNull()
  })
})

describe("numbers as text", () => {
  test("learning rates are short, negative numbers have a true minus sign, and there is no minus zero", () => {
    expect([5e-6, 1e-5, 1.5e-5, 3 * 1e-5].map(learningRate)).toEqual(["5e-6", "1e-5", "1.5e-5", "3e-5"])
    expect([-1.26, 1.26, -0.04].map((value) => decimal(value, 1))).toEqual(["−1.3", "1.3", "0.0"])
    expect([0.03125, 1, 0.00001].map(pValue)).toEqual(["0.0313", "1.0000", "< 0.0001"])
  })

  test("a missing interval says why", () => {
    expect(interval({ kind: "interval", low: -1, high: 2 }, 1, "run")).toBe("−1.0 to 2.0")
    expect(interval({ kind: "none", why: "single" }, 1, "run")).toBe("one run")
    expect(interval({ kind: "none", why: "two" }, 1, "run")).toBe("two runs")
    expect(interval({ kind: "none", why: "equal" }, 1, "run")).toBe("all equal")
    expect(interval({ kind: "none", why: "empty" }, 1, "seed")).toBe("no seed")
  })
})
