/** How fast plugins are expected to compute: as finished units were or, before there are any, as the backend assumes. */
import type { Cost } from "../api/cost.ts"
import type { Manifest } from "./store/manifest.ts"

export interface Speeds {
  /** Whether any of them were measured on finished units. */
  readonly measured: boolean
  /** Whether a plugin's own was. */
  readonly knows: (plugin: string) => boolean
  /** The seconds that a plugin takes to compute. */
  readonly seconds: (plugin: string, cost: Pick<Cost, "flops" | "calls">) => number
}

/** A shorter unit's time says more about starting than about computing, s. */
const shortestTimed = 0.1
/** The newest artifacts of a plugin that count. */
const timed = 200
/** The part of them that was slower than the speed that is believed. */
const slower = 0.9

/**
 * The seconds that a unit would have taken on a machine that does nothing else. One thread that computes is only ever
 * kept waiting by other programs, so its CPU time is that; several threads also wait for each other.
 */
const undisturbed = ({ seconds, madeBy }: Manifest): number => {
  const threads = madeBy.computed?.threads
  return threads?.length === 1 && threads[0] === 1 ? Math.min(seconds, madeBy.cpuSeconds) : seconds
}

/** The threads that a unit had, on average; 1 if it is not known. */
const threadsOf = ({ madeBy }: Manifest): number => {
  const threads = madeBy.computed?.threads ?? []
  return threads.length === 0 ? 1 : threads.reduce((sum, each) => sum + each, 0) / threads.length
}

const quantile = (values: readonly number[], part: number): number =>
  [...values].sort((a, b) => a - b)[Math.round(part * (values.length - 1))]!

/**
 * The speeds on a backend that artifacts tell, whatever has been edited since. A plugin that was never timed has the
 * median of the others.
 *
 * A load of other programs only ever slows units down, so a plugin's speed is not their median but a high quantile, over
 * the units of several runs: a whole run on a busy machine, of up to nine times as many units as before it, does not
 * make the next plan believe that pace. In return, a plugin that has become slower for good is believed only after many
 * of its units; until then `pace.ts` corrects the plan while it runs.
 *
 * @param threads of each job of the plan; speeds are taken to be proportional to it
 * @returns undefined if none was timed
 */
export const measuredSpeeds = (
  manifests: readonly Manifest[],
  backend: string,
  threads: number,
): Speeds | undefined => {
  const usable = new Map(
    manifests
      .filter((each) => each.backend === backend && each.flops > 0 && each.seconds > shortestTimed)
      .map((manifest) => [manifest.key, manifest]),
  )
  const speeds = new Map<string, number>()
  for (const [plugin, all] of Map.groupBy(usable.values(), (manifest) => manifest.plugin)) {
    const newest = all.sort((a, b) => (a.made > b.made ? -1 : 1)).slice(0, timed)
    const each = newest.map((manifest) => manifest.flops / undisturbed(manifest) / threadsOf(manifest))
    speeds.set(plugin, quantile(each, slower) * threads)
  }
  if (speeds.size === 0) return undefined
  const typical = quantile([...speeds.values()], 0.5)
  return {
    measured: true,
    knows: (plugin) => speeds.has(plugin),
    seconds: (plugin, { flops }) => flops / (speeds.get(plugin) ?? typical),
  }
}

/**
 * The seconds that units take of plugins that compute next to nothing: the median of the newest artifacts. Reading data
 * and drawing reports takes time, too.
 *
 * @returns 0 for a plugin that was never timed
 */
export const idleSeconds = (manifests: readonly Manifest[]): ((plugin: string) => number) => {
  const distinct = new Map(
    manifests.filter(({ flops }) => flops === 0).map((manifest) => [manifest.key, manifest]),
  )
  const seconds = new Map<string, number>()
  for (const [plugin, all] of Map.groupBy(distinct.values(), (manifest) => manifest.plugin)) {
    const newest = all.sort((a, b) => (a.made > b.made ? -1 : 1)).slice(0, timed)
    seconds.set(plugin, quantile(newest.map(undisturbed), 0.5))
  }
  return (plugin) => seconds.get(plugin) ?? 0
}

/**
 * The same speed for every plugin: what a backend is assumed to reach.
 *
 * @param secondsPerCall of a device, which computes while it is asked for more: the longer of both counts
 */
export const assumedSpeeds = (flopsPerSecond: number, secondsPerCall = 0): Speeds => ({
  measured: false,
  knows: () => false,
  seconds: (_plugin, { flops, calls }) => Math.max(flops / flopsPerSecond, calls * secondsPerCall),
})
