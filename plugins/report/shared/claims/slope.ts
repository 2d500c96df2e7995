import { type } from "arktype"
import { component } from "../../../../core/api/component.ts"
import type { Labels } from "../../../../core/api/plugin.ts"
import { plural } from "../../../../core/io/format.ts"
import { exp, log } from "../../../../core/tensor/elementary.ts"
import { crossedDifference } from "../statistics/crossed.ts"
import { mean } from "../statistics/moments.ts"
import { type ClaimFunctions, type Evidence, type Finding, nothingFound } from "./claim.ts"
import { crossedFinding, crossedName, oneSeed } from "./crossed-finding.ts"
import { unknownNames, Where } from "./evidence.ts"
import { valuesOf } from "./higher-mean.ts"
import { alone, equivalence } from "./one-sample.ts"
import { type Paired, type Value, whereText } from "./paired.ts"
import { plannedQuantity, Quantity, quantityText, runKey, valuesOfQuantity } from "./quantity.ts"
import { capitalised, number } from "./words.ts"

const QuantityGiven = type({ "...": Quantity, "+": "reject" })

/**
 * A scaling law: y grows as a power of x. In each seed a line is fitted to log y against log x; of their slopes the
 * mean is tested over seeds, with checkpoints random where there are several: its sign, or whether it is within a
 * margin of a given exponent. With y the best learning rate, that of a seed is the one at which its metric is highest
 * (the geometric mean of several), and a run that diverged counts as the baseline.
 */
export const slope = component({
  role: "claim",
  name: "slope",
  module: import.meta.url,
  options: type({
    "+": "reject",
    /** A label or a column of positive numbers: `batch`. */
    x: "string > 0",
    y: QuantityGiven.or("'best lr'"),
    /** Labels of the runs, with y the best learning rate. */
    where: Where.default(() => ({})),
    is: type("'positive' | 'negative'").or({ "+": "reject", equals: "number", within: "number > 0" }),
    "family?": "string > 0",
  }),
  make: ({ x, y, where, is, family }): ClaimFunctions => {
    const quantity = y === "best lr" ? null : { ...y, by: x }
    const what = quantity === null ? `the best learning rate${whereText(where)}` : quantityText(quantity)
    const law =
      typeof is === "string"
        ? `${is === "positive" ? "rises" : "falls"} as a power of ${x}`
        : `grows as ${x} to the power ${number(is.equals)}, within ${number(is.within)}`
    return {
      statement: `${capitalised(what)} ${law}.`,
      family: family ?? "slope",
      plan: (design) => ({
        problems:
          quantity === null
            ? unknownNames("runs", design, where, [x, "lr"])
            : plannedQuantity(design, quantity, {}).problems,
        limits: ["It holds over the range of the values tried, not beyond."],
        leastP: null,
        power: null,
      }),
      judge: (evidence, level) => {
        const points = quantity === null ? bestRates(evidence, where, x) : pointsOf(evidence, quantity, x)
        const slopes = slopesOf(points.values)
        const nothing = `No seed has positive values of ${what} at two values of ${x}.`
        const paired = slopes.length === 0 ? nothing : alone(slopes)
        if (typeof paired === "string") return nothingFound(paired)
        return judged(paired, what, is, points.notes, level)
      },
      judgePaper: () => null,
    }
  },
})

interface Points {
  /** With x in `part`. */
  readonly values: readonly Value[]
  readonly notes: readonly string[]
}

const without = (labels: Labels, ...names: readonly string[]): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([name]) => !names.includes(name)))

const pointsOf = (evidence: Evidence, quantity: Quantity, x: string): Points => ({
  values: valuesOfQuantity(evidence, quantity).map((value) => ({
    ...value,
    labels: without(value.labels, x),
  })),
  notes: [],
})

/** Of each seed, at each x, the learning rate with the highest metric. */
const bestRates = (evidence: Evidence, where: Where, x: string): Points => {
  const groups = new Map<string, { readonly lr: number; readonly run: Value }[]>()
  for (const run of valuesOf(evidence, where, true)) {
    const lr = run.labels["lr"]
    if (typeof lr !== "number" || run.labels[x] === undefined) continue
    const key = runKey(without(run.labels, "lr"), run.seed)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [{ lr, run }])
    else group.push({ lr, run })
  }
  let atEnd = 0
  const values = [...groups.values()].map((group): Value => {
    const highest = Math.max(...group.map(({ run }) => run.value))
    const best = group.flatMap(({ lr, run }) => (run.value === highest ? [lr] : [])).sort((a, b) => a - b)
    const rates = group.map(({ lr }) => lr)
    if (best.includes(Math.min(...rates)) || best.includes(Math.max(...rates))) atEnd++
    const { labels, seed } = group[0]!.run
    return {
      labels: without(labels, "lr", x),
      seed,
      part: String(labels[x]),
      value: exp(mean(best.map(log))),
    }
  })
  return {
    values,
    notes:
      atEnd === 0
        ? []
        : [
            `In ${atEnd} of ${plural(values.length, "case")} the best learning rate is the lowest or the highest tried: the true one may lie beyond.`,
          ],
  }
}

/** The slope of log y against log x in each run or seed that has two values of x or more. */
const slopesOf = (points: readonly Value[]): readonly Value[] => {
  const groups = new Map<string, Value[]>()
  for (const point of points) {
    if (!(point.value > 0 && Number(point.part) > 0)) continue
    const key = runKey(point.labels, point.seed)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [point])
    else group.push(point)
  }
  return [...groups.values()].flatMap((group): readonly Value[] => {
    const sorted = [...group].sort((a, b) => Number(a.part) - Number(b.part) || a.value - b.value)
    const logX = sorted.map(({ part }) => log(Number(part)))
    const logY = sorted.map(({ value }) => log(value))
    const [centreX, centreY] = [mean(logX), mean(logY)]
    const squares = logX.reduce((sum, each) => sum + (each - centreX) ** 2, 0)
    if (squares === 0) return []
    const products = logX.reduce((sum, each, i) => sum + (each - centreX) * (logY[i]! - centreY), 0)
    return [{ labels: group[0]!.labels, seed: group[0]!.seed, part: "", value: products / squares }]
  })
}

const judged = (
  paired: Paired,
  what: string,
  is: "positive" | "negative" | { readonly equals: number; readonly within: number },
  notes: readonly string[],
  level: number,
): Finding => {
  const checkpoints = paired.arm.checkpoints.length
  const sample = {
    seeds: paired.seeds.length,
    checkpoints: [{ arm: "models", count: checkpoints }],
    notes: [
      ...notes,
      ...(paired.incomplete === 0 ? [] : [`${plural(paired.incomplete, "seed")} without a slope left out.`]),
    ],
  }
  const crossed = crossedDifference(paired.arm.values, paired.than.values)
  if (crossed === null) return oneSeed(sample)
  const { p, ...found } =
    typeof is === "string"
      ? crossedFinding(crossed, level, is === "positive" ? 1 : -1)
      : equivalence(crossed, is.equals, is.within, level)
  const test = crossedName("t test of the slopes by seed", [checkpoints])
  return {
    ...nothingFound(""),
    ...sample,
    ...found,
    effect: { name: `slope of log ${what}`, value: crossed.difference, unit: "" },
    test: {
      name:
        typeof is === "string"
          ? test
          : `equivalence within ${number(is.within)} of ${number(is.equals)} by ${test}`,
      p,
      leastP: null,
    },
    missing: null,
  }
}
