import { type CrossedDifference, crossedInterval, crossedP, leastEnough } from "../statistics/crossed.ts"
import { normalQuantile, studentTwoSided } from "../statistics/distribution.ts"
import { SUFFICIENT_POWER } from "../statistics/power.ts"
import type { Finding } from "./claim.ts"
import { type Paired, pair, type Value } from "./paired.ts"

const side = { " side": "values" }
const zero = { " side": "zero" }

/**
 * Values by themselves, as differences from 0: [seeds][models]. A model is a checkpoint of an arm, and all are random:
 * what is said of the mean is said of arms like these.
 *
 * @returns why there are none, in a sentence
 */
export const alone = (values: readonly Value[]): Paired | string => {
  const both = values.flatMap((value) => {
    const { arm, checkpoint, ...labels } = value.labels
    const model = JSON.stringify([arm ?? null, checkpoint ?? null])
    return [
      { ...value, labels: { ...labels, ...side, checkpoint: model } },
      { ...value, labels: { ...labels, ...zero }, value: 0 },
    ]
  })
  const paired = pair(both, side, zero, "")
  return typeof paired === "string" ? "No seed has all values in every cohort." : paired
}

/**
 * Whether a mean is within `margin` of `centre`: the claim holds if the interval lies within, and does not if it lies
 * outside. p is the α at which the interval reaches the nearer end of the margin: twice the p of two one-sided tests
 * (D. Schuirmann 1987) if the mean is within.
 */
export const equivalence = (
  crossed: CrossedDifference,
  centre: number,
  margin: number,
  level: number,
): Pick<Finding, "leans" | "interval" | "seedsNeeded"> & { readonly p: number } => {
  const distance = crossed.difference - centre
  const nearer = centre + (distance < 0 ? -margin : margin)
  const within = Math.abs(distance) < margin
  return {
    leans: within ? "for" : Math.abs(distance) > margin ? "against" : null,
    interval: crossedInterval(crossed, level),
    p: crossedP(crossed, nearer),
    seedsNeeded: seedsNeeded(crossed, Math.abs(crossed.difference - nearer), level),
  }
}

const seedsNeeded = ({ seeds, parts }: CrossedDifference, room: number, level: number): number | null => {
  const [ofSeeds, ...others] = parts
  const fixed = others.reduce((sum, { variance }) => sum + variance, 0)
  const perSeed = ofSeeds!.variance * seeds
  return leastEnough((n) => {
    const reach = studentTwoSided(level, n - 1) + normalQuantile(SUFFICIENT_POWER)
    return room >= reach * Math.sqrt(perSeed / n + fixed)
  })
}
