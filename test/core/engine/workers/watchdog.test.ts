import { expect, test } from "bun:test"
import { lookEvery, Watchdog } from "../../../../core/engine/workers/watchdog.ts"

/** Looks from one time to another as often as a supervising process does; gives what the last look found. */
const watch = (
  watchdog: Watchdog,
  [from, to]: readonly [number, number],
  cpu: (now: number) => number | undefined,
) => {
  let found: number | undefined
  for (let now = from; now <= to && found === undefined; now += lookEvery)
    found = watchdog.look(now, cpu(now))
  return found
}
const idle = () => 7

test("a process that neither answers nor computes is given five minutes", () => {
  expect(watch(new Watchdog(0), [2, 298], idle)).toBeUndefined()
  expect(watch(new Watchdog(0), [2, 400], idle)).toBe(300)
})

test("an answer is a sign of life, whenever it comes", () => {
  const watchdog = new Watchdog(0)
  watch(watchdog, [2, 298], idle)
  watchdog.heard(299)
  expect(watch(watchdog, [300, 598], idle)).toBeUndefined()
  expect(watch(watchdog, [600, 700], idle)).toBe(301)
})

test("so is computing: one kernel may take hours, with as little as a hundredth of a core", () => {
  expect(watch(new Watchdog(0), [2, 20_000], (now) => now / 100)).toBeUndefined()
})

test("what the idle threads of a runtime take is none", () => {
  expect(watch(new Watchdog(0), [2, 1000], (now) => now / 1000)).toBe(300)
})

test("where CPU time cannot be seen, an hour is given", () => {
  expect(watch(new Watchdog(0), [2, 3598], () => undefined)).toBeUndefined()
  expect(watch(new Watchdog(0), [2, 4000], () => undefined)).toBe(3600)
})

test("a machine that slept, or a supervising process that was stopped, starts the time anew", () => {
  const watchdog = new Watchdog(0)
  watch(watchdog, [2, 200], idle)
  // Suspended for a day.
  expect(watchdog.look(86_400, 7)).toBeUndefined()
  expect(watch(watchdog, [86_402, 86_698], idle)).toBeUndefined()
  expect(watch(watchdog, [86_700, 86_900], idle)).toBe(300)
})
