import { plural } from "../../../../core/io/format.ts"
import { exp, log } from "../../../../core/tensor/elementary.ts"
import { capitalised } from "../../shared/claims/words.ts"
import type { Figure } from "../../shared/figure.ts"
import { rounded } from "../../shared/records.ts"
import { armScales, CONFIG, INK } from "../../shared/style.ts"
import { ends } from "../format.ts"
import { amount, wordsOf } from "../metric.ts"
import { type CohortStability, hundredths } from "../statistics/stability.ts"
import { distinct } from "../study.ts"

/** Figure 1: the task's metric against peak learning rate. */
export const metricFigure = (arms: readonly string[], cohorts: readonly CohortStability[]): Figure => {
  const shown = cohorts.filter(({ values }) => values.length > 0)
  const name = "figure-1"
  const metric = cohorts[0]?.metric ?? "accuracy"
  const words = wordsOf(metric)
  const title = `Figure 1. ${capitalised(words.name)} after fine-tuning against peak learning rate`
  const data = {
    columns: [
      ...["arm", "lr", "checkpoint", metric === "accuracy" ? "accuracies" : "values"],
      ...["mean", "t_low", "t_high"],
    ],
    rows: shown.flatMap(({ arm, lr, values, mean, meanInterval, checkpoints }) => [
      [arm, lr, "all", values.length, ...[mean, ...ends(meanInterval)].map(rounded)],
      ...checkpoints.map((each) => [
        ...[arm, lr, each.checkpoint, each.values.length, rounded(each.mean)],
        ...[null, null],
      ]),
    ]),
  }
  if (shown.length === 0) return { name, title, caption: [`No run has ${words.one} yet.`], data, spec: null }

  const drawn = [...new Set(shown.map(({ arm }) => arm))]
  const positions = positionsOf(
    distinct(shown, ({ lr }) => lr),
    arms.filter((arm) => drawn.includes(arm)),
  )
  const points = shown.map((cohort) => {
    const [low, high] = ends(cohort.meanInterval)
    return { arm: cohort.arm, lr: cohort.lr, x: positions.at(cohort), mean: cohort.mean, low, high }
  })
  const runs = shown.flatMap((cohort) =>
    cohort.runs.flatMap((run) =>
      run.status === "done"
        ? [
            {
              arm: run.arm,
              lr: run.lr,
              seed: run.seed,
              x: positions.at(cohort),
              [metric]: hundredths(run.value),
            },
          ]
        : [],
    ),
  )
  const checkpoints = shown.flatMap((cohort) =>
    cohort.checkpoints.flatMap(({ checkpoint, mean }) =>
      mean === null ? [] : { arm: cohort.arm, checkpoint, x: positions.at(cohort), mean },
    ),
  )
  const scales = armScales(arms)
  const legend = { title: null, values: drawn, symbolOpacity: 1, symbolSize: 80 }
  const colour = {
    field: "arm",
    type: "nominal" as const,
    scale: scales.colour,
    legend,
  }
  const x = {
    field: "x",
    type: "quantitative" as const,
    scale: { domain: positions.domain, ...positions.scale, nice: false },
    axis: { title: "peak learning rate", values: [...positions.learningRates], format: "~e", grid: false },
  }
  const y = (field: string) => ({
    field,
    type: "quantitative" as const,
    scale: { zero: false },
    axis: { title: `${words.name} (${words.unit})` },
  })
  return {
    name,
    title,
    caption: caption(shown, cohorts),
    data,
    spec: {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      width: 640,
      height: 340,
      config: CONFIG,
      layer: [
        {
          data: { values: baselines(shown) },
          layer: [
            {
              mark: { type: "rule", color: INK, strokeDash: [5, 4], opacity: 0.7 },
              encoding: { y: y(metric) },
            },
            {
              mark: {
                type: "text",
                color: INK,
                align: "left",
                baseline: "bottom",
                dx: 3,
                dy: -3,
                fontSize: 11,
              },
              encoding: { y: y(metric), x: { value: 0 }, text: { field: "label" } },
            },
          ],
        },
        {
          name: "runs",
          data: { values: runs },
          mark: { type: "point", filled: true, size: 14, opacity: 0.4, xOffset: 4 },
          encoding: { x, y: y(metric), color: colour },
        },
        ...(checkpoints.length === 0
          ? []
          : [
              {
                name: "checkpoints",
                data: { values: checkpoints },
                mark: {
                  type: "tick" as const,
                  orient: "horizontal" as const,
                  thickness: 1.5,
                  size: 14,
                  opacity: 1,
                },
                encoding: { x, y: y("mean"), color: colour },
              },
            ]),
        {
          data: { values: points },
          layer: [
            {
              name: "intervals",
              transform: [{ filter: "isValid(datum.low)" }],
              mark: { type: "rule", strokeWidth: 1.5 },
              encoding: { x, y: y("low"), y2: { field: "high" }, color: colour },
            },
            { mark: { type: "line", strokeWidth: 2 }, encoding: { x, y: y("mean"), color: colour } },
            {
              name: "means",
              mark: { type: "point", filled: true, size: 70, opacity: 1 },
              encoding: {
                x,
                y: y("mean"),
                color: colour,
                shape: { field: "arm", type: "nominal", scale: scales.shape, legend },
              },
            },
          ],
        },
      ],
    },
  }
}

/** The position of an arm at a learning rate: arms are side by side, so that their intervals do not overlap. */
const positionsOf = (learningRates: readonly number[], arms: readonly string[]) => {
  const first = learningRates[0]!
  const last = learningRates[learningRates.length - 1]!
  // Learning rates that span more than a decade get a logarithmic axis.
  const logarithmic = last > 10 * first
  const onto = (lr: number): number => (logarithmic ? log(lr) : lr)
  const back = (position: number): number => (logarithmic ? exp(position) : position)
  const gaps = learningRates.slice(1).map((lr, i) => onto(lr) - onto(learningRates[i]!))
  const gap = gaps.length === 0 ? first / 2 : Math.min(...gaps)
  const step = (0.6 * gap) / Math.max(arms.length, 4)
  return {
    learningRates,
    scale: logarithmic ? { type: "log" as const } : { type: "linear" as const, zero: false },
    domain: [back(onto(first) - gap / 2), back(onto(last) + gap / 2)],
    at: ({ arm, lr }: CohortStability): number =>
      back(onto(lr) + (arms.indexOf(arm) - (arms.length - 1) / 2) * step),
  }
}

const baselines = (cohorts: readonly CohortStability[]) => {
  const found = cohorts.flatMap(({ runs }) =>
    runs.flatMap((run) => (run.status === "done" ? [hundredths(run.baseline)] : [])),
  )
  const { metric } = cohorts[0]!
  const words = wordsOf(metric)
  return [...new Set(found)].map((each) => ({
    [metric]: each,
    label: `${words.line} ${amount(each, words)}`,
  }))
}

const caption = (
  shown: readonly CohortStability[],
  cohorts: readonly CohortStability[],
): readonly string[] => {
  const { name, baseline } = wordsOf(shown[0]!.metric)
  const sizes = shown.map(({ values }) => values.length)
  const least = Math.min(...sizes)
  const most = Math.max(...sizes)
  const diverged = cohorts.reduce((sum, cohort) => sum + cohort.diverged, 0)
  const several = shown.some(({ checkpoints }) => checkpoints.length > 0)
  const bare = shown.filter(({ meanInterval }) => meanInterval.kind === "none").length
  return [
    `Lines: mean over seeds, ${least === most ? plural(least, "run") : `${least} to ${most} runs`} per point; bars: 95 % interval of the mean${several ? ", over seeds and checkpoints" : " (Student's t)"}; faint points next to them: single runs; dashed: ${name} of the ${baseline}. Arms are side by side at each learning rate.`,
    ...(several ? ["Ticks: the means of single checkpoints, where an arm has several."] : []),
    ...(bare === 0 ? [] : [`No interval at ${plural(bare, "point")}: one run, or all runs equal.`]),
    ...(diverged === 0
      ? []
      : [`${plural(diverged, "run")} diverged and ${diverged === 1 ? "has" : "have"} no ${name} to draw.`]),
  ]
}
