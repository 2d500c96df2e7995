/**
 * Loaded before a command (`bun --preload`), this makes its clock jump by up to five days, back or forth, twice a
 * second. Timers go on as they do: the kernel's monotonic clock does not jump.
 */
const jump = () => ((Math.floor(performance.now() / 500) * 7919) % 11) - 5
const { now } = Date

const Jumping = class extends Date {
  constructor(...given: readonly never[]) {
    if (given.length === 0) super(Jumping.now())
    else super(...(given as unknown as [number]))
  }

  static override now() {
    return now() + jump() * 24 * 3600 * 1000
  }
}
globalThis.Date = Jumping as DateConstructor
