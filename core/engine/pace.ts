/**
 * How much slower or faster than planned a machine computes, from what jobs have really taken so far.
 *
 * What a job takes is the sum, over the plugins that run in it, of the seconds that the plan expects of each, times a
 * factor of that plugin, times a factor of the machine. The plan may be wrong about a plugin, and stays so: its factor
 * is a constant. The machine gets loaded and free again: its factor wanders. So a slow plugin does not make the others
 * look slow, and a load that one plugin has felt is expected of all.
 *
 * Both are estimated by a Kalman filter (Kalman 1960) on their logarithms, linearised at the estimate. It weighs a new
 * measurement by how sure it already is: the first ones count for almost all, since a plan without measured speeds may
 * be wrong by ten; later ones for about as much as the machine can have changed meanwhile.
 */
import { exp, log } from "../tensor/elementary.ts"

/** The seconds that a plan expects of each plugin, by its name. */
export type Work = ReadonlyMap<string, number>

/** The standard deviations below are of natural logarithms: 0.1 is about 10 %. */

/** Of the machine's factor at the start, if the plan's speeds were measured: it may be loaded, or have been. */
const loadAtStart = 0.7
/** The same if they were only assumed for the backend: ten times is usual. */
const assumedAtStart = 2.3
/** Of a plugin's factor, if its own speed was measured or not. */
const measuredPlugin = 0.3
const otherPlugin = 1
/**
 * Of what the machine's factor wanders within a second. Two jobs that report every 10 seconds are then half-way to a
 * new load after one minute, and a long-running job that reports every hour is believed almost at once.
 */
const wandering = 0.008
/** Of a measurement: jobs of one plugin differ by about as much, however long they run. */
const noise = 0.15
/** What takes less than this says more about the moment than about the machine, s. */
const brief = 10
/** A measurement that is further off than this many standard deviations counts as if it were as far. */
const furthest = 3

export class Pace {
  private readonly places = new Map<string, number>()
  /** The logarithm of the machine's factor, then of the plugins'. */
  private readonly mean: number[] = [0]
  private readonly covariance: number[][]
  private at = 0

  /**
   * @param measured whether the plan's speeds come from finished units at all
   * @param knows whether a plugin's own speed does
   */
  constructor(
    measured: boolean,
    private readonly knows: (plugin: string) => boolean,
  ) {
    this.covariance = [[(measured ? loadAtStart : assumedAtStart) ** 2]]
  }

  /** The seconds that this work would take now, by what has been measured. */
  secondsOf(work: Work): number {
    let sum = 0
    for (const [plugin, seconds] of work) sum += seconds * exp(this.mean[this.placeOf(plugin)]!)
    return sum * exp(this.mean[0]!)
  }

  /**
   * @param seconds that this work has taken
   * @param now seconds since any fixed moment; never less than before
   */
  observe(work: Work, seconds: number, now: number): void {
    const { mean, covariance } = this
    const predicted = this.secondsOf(work)
    if (!(predicted > 0 && seconds > 0)) return
    covariance[0]![0]! += wandering ** 2 * (now - this.at)
    this.at = now
    // How the logarithm of the prediction depends on each factor.
    const slope = mean.map(() => 0)
    slope[0] = 1
    for (const [plugin, expected] of work) {
      const place = this.placeOf(plugin)
      slope[place] = (expected * exp(mean[place]! + mean[0]!)) / predicted
    }
    const along = covariance.map((row) => row.reduce((sum, each, place) => sum + each * slope[place]!, 0))
    const variance =
      along.reduce((sum, each, place) => sum + each * slope[place]!, 0) + noise ** 2 * (1 + brief / seconds)
    const limit = furthest * Math.sqrt(variance)
    const off = Math.min(limit, Math.max(-limit, log(seconds / predicted)))
    for (const [row, each] of along.entries()) {
      mean[row]! += (each / variance) * off
      for (const column of covariance.keys()) covariance[row]![column]! -= (each * along[column]!) / variance
    }
  }

  private placeOf(plugin: string): number {
    const known = this.places.get(plugin)
    if (known !== undefined) return known
    const place = this.mean.length
    this.places.set(plugin, place)
    this.mean.push(0)
    for (const row of this.covariance) row.push(0)
    const spread = this.knows(plugin) ? measuredPlugin : otherPlugin
    this.covariance.push([...this.mean.keys()].map((column) => (column === place ? spread ** 2 : 0)))
    return place
  }
}
