import { expect, test } from "bun:test"
import { isTime, secondsOf } from "../../../../plugins/launcher/slurm/time.ts"

test.each([
  ["90", 90 * 60],
  ["1:30", 90],
  ["12:00:00", 12 * 3600],
  ["2:03:04", 2 * 3600 + 3 * 60 + 4],
  ["2-0", 48 * 3600],
  ["1-12", 36 * 3600],
  ["1-12:30", 36 * 3600 + 30 * 60],
  ["1-12:30:15", 36 * 3600 + 30 * 60 + 15],
] as const)("%s is a time", (text, seconds) => {
  expect([secondsOf(text), isTime(text)]).toEqual([seconds, true])
})

test.each(["", "0", "0:00", "12h", "1-", "-5", "1:2:3:4", "1-2:3:4:5", "1.5", "infinite"])(
  "%p is none",
  (text) => {
    expect(isTime(text)).toBe(false)
  },
)
