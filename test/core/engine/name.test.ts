import { expect, test } from "bun:test"
import { expectedName } from "../../../core/engine/name.ts"

const form = "of letters and digits, with hyphens and dots inside, at most 64 characters"

test.each(["a", "7", "weight-norm", "bert-2x32", "v1.2", "Mini", "a..b", "con", "a".repeat(64)])(
  "%p is a name",
  (name) => {
    expect(expectedName(name)).toBeUndefined()
  },
)

test.each([
  ...[
    "",
    ".",
    "..",
    "../..",
    "a/b",
    "a/../b",
    "/tmp/x",
    "a\\b",
    "a b",
    "a_b",
    " a",
    "a\n",
    "a\u0000",
    "\u001b[31ma",
  ],
  ...["-a", "a-", ".a", "a.", "ä", "a\u202eb", "a".repeat(65), undefined, null, 7],
])("%p is none", (name) => {
  expect(expectedName(name)).toBe(form)
})

const taken = "artifacts, sources, scratch, damaged, tmp, owners, leases, launches, logs, lock, latest"

test.each([...taken.split(", "), "Artifacts", "LOCK"])("%p is taken", (name) => {
  expect(expectedName(name)).toBe(`another than ${taken}`)
})

test("what else the folder holds is taken too", () => {
  expect(expectedName("Report.json", ["report.json"])).toBe(`another than ${taken}, report.json`)
  expect(expectedName("report", ["report.json"])).toBeUndefined()
})
