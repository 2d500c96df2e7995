import { type CrossedDifference, crossedInterval, crossedP, leastEnough } from "../statistics/crossed.ts"
import { normalQuantile, studentTwoSided } from "../statistics/distribution.ts"
import type { Finding } from "./claim.ts"
import { type Paired, pair, type Value } from "./paired.ts"

const side = { " side": "values" }
const zero = { " side": "zero" }

/** Values by themselves, as the differences from 0 that crossed random effects are of: [seeds][checkpoints]. */
export const alone = (values: readonly Value[], where: string): Paired | string => {
  const mine = values.map((value) => ({ ...value, labels: { ...value.labels, ...side } }))
  const zeros = values.map((value) => {
    const { checkpoint: _, ...labels } = value.labels
    return { ...value, labels: { ...labels, ...zero }, value: 0 }
  })
  return pair([...mine, ...zeros], side, zero, where)
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
    const reach = studentTwoSided(level, n - 1) + normalQuantile(0.8)
    return room >= reach * Math.sqrt(perSeed / n + fixed)
  })
}
