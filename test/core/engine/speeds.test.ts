import { describe, expect, test } from "bun:test"
import { assumedSpeeds, idleSeconds, measuredSpeeds } from "../../../core/engine/speeds.ts"
import type { Manifest } from "../../../core/engine/store/manifest.ts"
import { normal, stream } from "../../../core/tensor/stream.ts"

interface Timed {
  readonly plugin?: string
  readonly flops?: number
  readonly seconds: number
  readonly cpuSeconds?: number
  readonly threads?: readonly number[]
}

let made = 0
const manifest = ({ plugin = "a", flops = 1000, seconds, cpuSeconds = seconds, threads }: Timed): Manifest =>
  ({
    key: `key ${made}`,
    plugin,
    backend: "native",
    flops,
    seconds,
    made: new Date(made++ * 1000).toISOString(),
    madeBy: {
      computed: threads === undefined ? null : { threads },
      cpuSeconds,
    },
  }) as unknown as Manifest

const secondsOf = (manifests: readonly Manifest[], threads = 1, plugin = "a") =>
  measuredSpeeds(manifests, "native", threads)!.seconds(plugin, { flops: 1000, calls: 0 })

/** Units of a run that take 10 s on a free machine, give or take 5 %. */
const run = (count: number, load: number, seed: number) =>
  [...normal({ stream: stream(seed, "order"), site: 0, iteration: 0 }, count, 0.5)].map((deviation) =>
    manifest({ seconds: (10 + deviation) * load }),
  )

describe("the speed that the plan after a loaded run believes", () => {
  test("is that of the free machine before, even if more units were made under load", () => {
    for (const [before, loaded] of [
      [40, 0],
      [40, 60],
      [15, 120],
      [3, 15],
    ] as const) {
      const seconds = secondsOf([...run(before, 1, 1), ...run(loaded, 3, 2)])
      expect(seconds).toBeGreaterThan(8.5)
      expect(seconds).toBeLessThan(11.5)
    }
  })

  test("is by CPU time that of the free machine if every unit was made under load, on one thread", () => {
    const loaded = [30, 33, 36].map((seconds) => manifest({ seconds, cpuSeconds: 10, threads: [1] }))
    expect(secondsOf(loaded)).toBeCloseTo(10)
    // With several threads, CPU time counts the waiting of one for another, or leaves it out.
    const several = [10, 10, 10].map((seconds) => manifest({ seconds, cpuSeconds: 5, threads: [4] }))
    expect(secondsOf(several, 4)).toBeCloseTo(10)
  })

  test("becomes that of slower code once most of the newest units were made with it", () => {
    const seconds = secondsOf([...run(200, 1, 1), ...run(190, 2, 2)])
    expect(seconds).toBeGreaterThan(17)
  })
})

test("is in proportion to the threads that a job has, whatever the units had that were timed", () => {
  const manifests = [manifest({ seconds: 10, threads: [2] }), manifest({ seconds: 5, threads: [4] })]
  expect(secondsOf(manifests, 1)).toBeCloseTo(20)
  expect(secondsOf(manifests, 8)).toBeCloseTo(2.5)
  expect(secondsOf([manifest({ seconds: 10, threads: [1, 3] })], 1)).toBeCloseTo(20)
})

test("of a plugin that was never timed is that of the others", () => {
  const manifests = [10, 20, 40].map((seconds, index) => manifest({ plugin: `p${index}`, seconds }))
  expect(secondsOf(manifests, 1, "new")).toBeCloseTo(20)
  expect(measuredSpeeds(manifests, "native", 1)!.knows("new")).toBe(false)
  expect(measuredSpeeds(manifests, "wasm", 1)).toBeUndefined()
})

test("that is assumed of a device is that of asking it, where it has little to do in each call", () => {
  const { seconds } = assumedSpeeds(1e12, 1e-5)
  expect(seconds("a", { flops: 5e12, calls: 1000 })).toBe(5)
  expect(seconds("a", { flops: 5e9, calls: 1000 })).toBeCloseTo(0.01)
  expect(assumedSpeeds(1e12).seconds("a", { flops: 5e9, calls: 1000 })).toBeCloseTo(0.005)
})

test("what computes nothing takes the median of what it took before; 0 if it was never timed", () => {
  const page = [1, 9, 2, 3, 30].map((seconds) => manifest({ plugin: "page", flops: 0, seconds }))
  const seconds = idleSeconds([...page, ...page, manifest({ seconds: 5 })])
  expect(["page", "a", "new"].map(seconds)).toEqual([3, 0, 0])
})
