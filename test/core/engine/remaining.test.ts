import { describe, expect, test } from "bun:test"
import { cost } from "../../../core/api/cost.ts"
import { Pace } from "../../../core/engine/pace.ts"
import { type Job, jobFor } from "../../../core/engine/plan.ts"
import { Remaining } from "../../../core/engine/remaining.ts"
import { assumedSpeeds, type Speeds } from "../../../core/engine/speeds.ts"
import type { Unit } from "../../../core/engine/unit.ts"
import { normal, stream } from "../../../core/tensor/stream.ts"

/** A unit of a simulated study; by the plan, it takes so many seconds. */
interface Simulated {
  readonly plugin: string
  readonly seconds: number
  readonly after?: readonly Job[]
  /** The updates that it counts. */
  readonly steps?: number
  readonly probes?: readonly { readonly plugin: string; readonly seconds: number; readonly steps: number[] }[]
}

let made = 0
const unitOf = (plugin: object, seconds: number, more: object = {}): Unit =>
  ({
    key: `key ${made++}`,
    plugin,
    options: {},
    inputs: {},
    watched: null,
    cost: cost({ flops: seconds }),
    ...more,
  }) as unknown as Unit

const jobOf = ({ plugin, seconds, after = [], steps = 100, probes = [] }: Simulated): Job => {
  const unit = unitOf({ name: plugin }, seconds, {
    inputs: Object.fromEntries(after.map(({ unit }, index) => [`from${index}`, { one: unit }])),
    replay: { length: { steps, warmupSteps: 0 }, flopsPerStep: seconds / steps },
  })
  const observers = probes.map((probe) =>
    unitOf({ name: probe.plugin, probe: { steps: () => probe.steps } }, probe.seconds, { watched: unit }),
  )
  return jobFor(unit, true, observers)
}

const known: Speeds = { measured: true, knows: () => true, seconds: (_, { flops }) => flops }

interface Study {
  readonly jobs: readonly Job[]
  readonly processes: number
  readonly speeds?: Speeds
  /** How much longer than planned a plugin takes. */
  readonly factor?: (plugin: string) => number
  /** How much the machine slows everything down, by the second. */
  readonly load?: (now: number) => number
  /** The standard deviation of the logarithm of what one second computes. */
  readonly noise?: number
}

/** Plays a study in steps of one second; gives what remains by the estimate of every 30 seconds, and its end. */
const play = ({ jobs, processes, speeds = known, factor = () => 1, load = () => 1, noise = 0 }: Study) => {
  const remaining = new Remaining({ jobs, speeds, estimate: { processes } })
  const deviations = normal({ stream: stream(1, "order"), site: 0, iteration: 0 }, 100_000)
  let drawn = 0
  const estimates: { readonly at: number; readonly seconds: number }[] = []
  const ended = new Set<Unit>()
  const waiting = new Set(jobs)
  const running = new Map<Job, number>()
  /** What a job takes until it has made so many steps, by what is true. */
  const trueSeconds = (job: Job, steps: number, all: number) => {
    const share = (unit: Unit, part: number) => unit.cost.flops * factor(unit.plugin.name) * part
    const probes = job.observers.map((probe) => {
      const at = (probe.plugin.probe as unknown as { steps: () => number[] }).steps()
      return share(probe, at.filter((step) => step < steps).length / at.length)
    })
    return probes.reduce((sum, each) => sum + each, share(job.unit, steps / all))
  }
  let now = 0
  for (; waiting.size + running.size > 0; now++) {
    for (const job of waiting) {
      if (running.size === processes) break
      const inputs = Object.values(job.unit.inputs) as { one: Unit }[]
      if (!inputs.every(({ one }) => ended.has(one))) continue
      waiting.delete(job)
      running.set(job, 0)
      remaining.started(job, now)
    }
    if (now % 30 === 0) estimates.push({ at: now, seconds: remaining.seconds(now) })
    for (const [job, before] of running) {
      const spent = before + Math.exp(noise * deviations[drawn++]!) / load(now)
      running.set(job, spent)
      const all = job.unit.replay!.length.steps
      let steps = 0
      while (steps < all && trueSeconds(job, steps + 1, all) <= spent) steps++
      if (spent >= trueSeconds(job, all, all)) {
        running.delete(job)
        ended.add(job.unit)
        remaining.finished(job, true, now + 1)
      } else if (steps > 0) remaining.progress(job, { done: steps, total: all, note: "" }, now + 1)
    }
  }
  return { estimates, end: now }
}

const same = (count: number, simulated: Simulated) => Array.from({ length: count }, () => jobOf(simulated))

describe("the remaining time", () => {
  test("at the start is what the plan says, chains included", () => {
    const first = jobOf({ plugin: "a", seconds: 100 })
    const jobs = [
      first,
      jobOf({ plugin: "a", seconds: 50, after: [first] }),
      ...same(2, { plugin: "a", seconds: 10 }),
    ]
    const remaining = new Remaining({ jobs, speeds: known, estimate: { processes: 4 } })
    expect(remaining.seconds(0)).toBeCloseTo(150)
  })

  test("at a constant pace that the plan knows is right all the time", () => {
    const { estimates, end } = play({
      jobs: same(40, { plugin: "a", seconds: 120 }),
      processes: 2,
      noise: 0.3,
    })
    expect(end / 2400).toBeCloseTo(1, 1)
    for (const { at, seconds } of estimates) expect(Math.abs(seconds - (end - at))).toBeLessThan(0.1 * end)
  })

  test("does not jump about at a constant pace, however uneven its seconds", () => {
    const { estimates, end } = play({
      jobs: same(40, { plugin: "a", seconds: 120 }),
      processes: 2,
      noise: 0.3,
    })
    const ends = estimates.filter(({ at }) => at > 300).map(({ at, seconds }) => at + seconds)
    for (const [index, each] of ends.slice(1).entries())
      expect(Math.abs(each - ends[index]!)).toBeLessThan(0.03 * end)
  })

  test("follows a load that triples half-way within five minutes, and back when it ends", () => {
    const jobs = () => same(60, { plugin: "a", seconds: 120 })
    const loaded = play({ jobs: jobs(), processes: 2, noise: 0.2, load: (now) => (now < 1800 ? 1 : 3) })
    const at = (time: number) =>
      loaded.estimates.find((each) => each.at === time)!.seconds / (loaded.end - time)
    // Half of it is left, which now takes three times as long.
    expect(at(1770)).toBeCloseTo(1 / 3, 1)
    expect(at(1920)).toBeGreaterThan(0.6)
    expect(at(2100)).toBeGreaterThan(0.85)
    for (const { at: time, seconds } of loaded.estimates.filter(({ at }) => at > 2400))
      expect(Math.abs(seconds - (loaded.end - time))).toBeLessThan(0.1 * loaded.end)

    const freed = play({ jobs: jobs(), processes: 2, noise: 0.2, load: (now) => (now < 1800 ? 3 : 1) })
    const left = freed.end - 2100
    expect(freed.estimates.find((each) => each.at === 2100)!.seconds / left).toBeLessThan(1.2)
  })

  test("is right within two minutes though the first estimate was wrong by ten", () => {
    for (const wrong of [0.1, 10]) {
      const jobs = same(60, { plugin: "a", seconds: 120 })
      const { estimates, end } = play({
        jobs,
        processes: 2,
        noise: 0.2,
        speeds: assumedSpeeds(1),
        factor: () => wrong,
      })
      const early = estimates.find(({ at }) => at === 120)!
      expect(early.seconds / (end - 120)).toBeGreaterThan(0.85)
      expect(early.seconds / (end - 120)).toBeLessThan(1.15)
    }
  })

  test("learns that one plugin is slow without thinking the others slow", () => {
    // 20 jobs of a, then 4 of b, which take eight times as long, then 20 of a that need them.
    const before = same(20, { plugin: "a", seconds: 60 })
    const slow = same(4, { plugin: "b", seconds: 60, after: [before.at(-1)!] })
    const after = same(40, { plugin: "a", seconds: 60, after: slow })
    const jobs = [...before, ...slow, ...after]
    const { estimates, end } = play({
      jobs,
      processes: 2,
      noise: 0.2,
      factor: (plugin) => (plugin === "b" ? 8 : 1),
    })
    // 600 s of a, then 960 s of b, then 1200 s of a: three minutes after b has begun, all of that is known.
    expect(end / 2760).toBeCloseTo(1, 1)
    for (const { at, seconds } of estimates.filter(({ at }) => at > 780))
      expect(Math.abs(seconds - (end - at))).toBeLessThan(0.1 * end)
  })

  test("expects a load that one plugin has felt of the others too", () => {
    const first = same(20, { plugin: "a", seconds: 60 })
    const then = same(20, { plugin: "b", seconds: 60, after: [first.at(-1)!] })
    const { estimates, end } = play({ jobs: [...first, ...then], processes: 2, load: () => 3 })
    const early = estimates.find(({ at }) => at === 600)!
    expect(early.seconds / (end - 600)).toBeCloseTo(1, 0)
    expect(early.seconds / (end - 600)).toBeGreaterThan(0.85)
  })

  test("is not misled by a probe that takes all its time at step 0", () => {
    const jobs = same(10, {
      plugin: "a",
      seconds: 300,
      probes: [{ plugin: "fisher", seconds: 300, steps: [0] }],
    })
    const { estimates, end } = play({ jobs, processes: 1 })
    expect(end).toBe(6000)
    for (const { at, seconds } of estimates) expect(Math.abs(seconds - (end - at))).toBeLessThan(0.1 * end)
  })
})

describe("a job", () => {
  const only = (simulated: Simulated) => {
    const job = jobOf(simulated)
    return { job, remaining: new Remaining({ jobs: [job], speeds: known, estimate: { processes: 1 } }) }
  }

  test("that resumes has not done in a second what it did before it was stopped", () => {
    const { job, remaining } = only({ plugin: "a", seconds: 1000 })
    remaining.started(job, 0)
    remaining.progress(job, { done: 60, total: 100, note: "" }, 1)
    expect(remaining.seconds(1)).toBeCloseTo(400)
    for (let second = 2; second <= 101; second++)
      remaining.progress(job, { done: 60 + Math.floor(second / 10), total: 100, note: "" }, second)
    expect(remaining.seconds(101)).toBeGreaterThan(280)
    expect(remaining.seconds(101)).toBeLessThan(320)
  })

  test("that never reports and takes longer than expected is not about to end", () => {
    const { job, remaining } = only({ plugin: "a", seconds: 100 })
    remaining.started(job, 0)
    expect(remaining.seconds(40)).toBeCloseTo(60)
    expect(remaining.seconds(1000)).toBe(250)
  })

  test("that fails at once does not make the machine look fast", () => {
    const jobs = same(11, { plugin: "a", seconds: 100 })
    const remaining = new Remaining({ jobs, speeds: known, estimate: { processes: 1 } })
    remaining.started(jobs[0]!, 0)
    remaining.finished(jobs[0]!, false, 1)
    expect(remaining.seconds(1)).toBeCloseTo(1000)
  })

  test("that starts again after its process was lost has everything to do", () => {
    const { job, remaining } = only({ plugin: "a", seconds: 100 })
    remaining.started(job, 0)
    remaining.progress(job, { done: 50, total: 100, note: "" }, 50)
    remaining.started(job, 60)
    expect(remaining.seconds(60)).toBeCloseTo(100)
  })

  test("whose unit counts batches after bytes begins anew, and that is no pace", () => {
    const { job, remaining } = only({ plugin: "a", seconds: 100 })
    remaining.started(job, 0)
    remaining.progress(job, { done: 9e8, total: 1e9, note: "" }, 1)
    remaining.progress(job, { done: 1, total: 100, note: "" }, 2)
    expect(remaining.seconds(2)).toBeCloseTo(99)
  })
})

test("the pace tells what two plugins in one process take from jobs with one and with both", () => {
  const pace = new Pace(false, () => false)
  for (let now = 100; now <= 4000; now += 100) {
    pace.observe(new Map([["a", 10]]), 20, now)
    pace.observe(
      new Map([
        ["a", 10],
        ["b", 10],
      ]),
      20 + 50,
      now,
    )
  }
  expect(pace.secondsOf(new Map([["b", 10]])) / 50).toBeCloseTo(1, 1)
  expect(pace.secondsOf(new Map([["a", 10]])) / 20).toBeCloseTo(1, 1)
})
