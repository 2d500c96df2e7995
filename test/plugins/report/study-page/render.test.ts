import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import type { Ratio } from "../../../../core/artifacts/metrics/ratio.ts"
import type { MetricName } from "../../../../core/artifacts/metrics.ts"
import { renderStudy } from "../../../../plugins/report/study-page/render.ts"
import type { RunRecord, Study } from "../../../../plugins/report/study-page/study.ts"
import { done, rank, studyOf } from "./fragments.ts"
import { syntheticStudy } from "./synthetic-study.ts"

const render = (study: Study) => Effect.runPromise(renderStudy(study))

const file = (files: ReadonlyMap<string, string>, name: string): string => {
  const content = files.get(name)
  if (content === undefined) throw new Error(`there is no ${name}, only ${[...files.keys()].join(", ")}`)
  return content
}

/** A failure does not print the whole content. */
const expectContains = (content: string, part: string) =>
  expect([part, content.includes(part)]).toEqual([part, true])

/** Fields of a CSV file whose fields need no quotes. */
const rowsOf = (csv: string): readonly Readonly<Record<string, string>>[] => {
  const [head, ...rows] = csv
    .split("\r\n")
    .slice(0, -1)
    .map((line) => line.split(","))
  return rows.map((row) => Object.fromEntries(head!.map((name, i) => [name, row[i]!])))
}

const small = syntheticStudy({
  arms: ["vanilla", "SimCSE(0.1)"],
  learningRates: [1e-5, 2e-5],
  seeds: 3,
  layers: 2,
})

const tables = ["table-1.csv", "comparisons.csv", "table-2.csv"]
const drawings = [1, 2, 3, 4].flatMap((n) => [`figure-${n}.svg`, `figure-${n}.vl.json`])
const data = [
  ...[1, 2, 3, 4].map((n) => `figure-${n}.csv`),
  ...["runs.csv", "ranks-before.csv", "ranks-during.csv", "trajectory.csv"],
]

/** No text for readers may reveal that a number was missing where one was expected. */
const expectSound = (files: ReadonlyMap<string, string>) => {
  for (const [name, content] of files) {
    if (name.endsWith(".json")) continue
    expect([name, /\b(NaN|undefined|Infinity|null)\b/.exec(content)?.[0]]).toEqual([name, undefined])
  }
}

describe("a complete study", () => {
  test("gives every file, with the same bytes each time", async () => {
    const files = await render(small)
    expect([...files.keys()].sort()).toEqual(
      [...tables, ...drawings, ...data, "index.html", "summary.md"].sort(),
    )
    expectSound(files)
    expect(await render(small)).toEqual(files)
  })

  test("the order of records does not matter", async () => {
    const { runs, before, during, trajectory } = small
    const reversed = {
      runs: runs.toReversed(),
      before: before.toReversed(),
      during: during.toReversed(),
      trajectory: trajectory.toReversed(),
    }
    const [files, again] = [await render(small), await render({ ...small, ...reversed })]
    for (const name of ["index.html", "summary.md", "table-1.csv", "table-2.csv", "comparisons.csv"]) {
      expect([name, again.get(name) === files.get(name)]).toEqual([name, true])
    }
  })

  test("the page is self-contained: no script, nothing loaded, figures titled and described, ids unique", async () => {
    const page = file(await render(small), "index.html")
    expect(/<script|<link|<img|<iframe|@import|url\((?!#)| src=| on\w+=/i.exec(page)?.[0]).toBeUndefined()
    const addresses = [...page.matchAll(/https?:[^"' )<]*/g)].map(([address]) => address)
    expect(new Set(addresses)).toEqual(
      new Set(["http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"]),
    )
    for (const n of [1, 2, 3, 4]) {
      expectContains(page, `role="img" aria-labelledby="figure-${n}-title figure-${n}-desc"`)
    }
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id!)
    expect(new Set(ids).size).toBe(ids.length)
    for (const [, id] of page.matchAll(/url\(#([^)]+)\)/g)) expect(ids).toContain(id!)
    expectContains(page, "prefers-color-scheme: dark")
  })

  test("a figure is dark on white in its own file and takes the page's colours inside the page", async () => {
    const files = await render(small)
    expectContains(
      file(files, "figure-1.svg"),
      'color="#1b1f24"><rect width="100%" height="100%" fill="#ffffff"/>',
    )
    expect(file(files, "index.html").includes('fill="#ffffff"')).toBe(false)
  })

  test("the specification of a figure contains its values", async () => {
    const spec = JSON.parse(file(await render(small), "figure-1.vl.json"))
    expect(spec.$schema).toBe("https://vega.github.io/schema/vega-lite/v6.json")
    expect(spec.layer[1].data.values).toHaveLength(12)
  })
})

describe("numbers", () => {
  test("failures are exact counts, such as 7 of 30 in the paper's first cell; the mean is computed from counts", async () => {
    const runs = Array.from({ length: 30 }, (_, i) => done("vanilla", 1e-5, i + 1, i < 7 ? 146 : 147 + i))
    const files = await render(studyOf({ runs }))
    const [row] = rowsOf(file(files, "table-1.csv"))
    expect(row).toMatchObject({ arm: "vanilla", lr: "0.00001", runs: "30", failures: "7", diverged: "0" })
    const mean =
      runs.reduce((sum, run) => sum + (run.status === "done" ? run.value.numerator : 0), 0) / 30 / 2.77
    expect(Number(row!.mean)).toBeCloseTo(mean, 9)
    expectContains(file(files, "summary.md"), "| 7 of 30 |")
    expectContains(file(files, "index.html"), ">7 of 30<")
  })

  test("Table 2 sums the layers", async () => {
    const before = [1, 2].flatMap((seed) => [
      rank("vanilla", seed, 1, 16),
      rank("vanilla", seed, 2, 4 * seed),
    ])
    const files = await render(studyOf({ before }))
    const [row] = rowsOf(file(files, "table-2.csv"))
    expectContains(file(files, "summary.md"), "divided by its maximum (N = 16 examples)")
    expect(row).toMatchObject({
      arm: "vanilla",
      sum: "1.375",
      maximum: "2",
      seeds: "2",
      incomplete_seeds: "0",
    })
  })

  test("raw observations are written unchanged", async () => {
    const files = await render(small)
    expect(rowsOf(file(files, "runs.csv"))).toHaveLength(small.runs.length)
    expect(rowsOf(file(files, "trajectory.csv")).map(({ r }) => Number(r))).toEqual(
      small.trajectory.map(({ r }) => expect.closeTo(r, 10)),
    )
    expect(rowsOf(file(files, "ranks-during.csv")).map(({ erank }) => Number(erank))).toEqual(
      small.during.map(({ erank }) => erank),
    )
  })
})

describe("an incomplete study", () => {
  const cell = { arm: "vanilla", lr: 1e-5 }
  const divergedRun: RunRecord = {
    ...cell,
    seed: 2,
    status: "diverged",
    reason: "the loss was not a number",
    step: 12,
  }
  const lostRun: RunRecord = { ...cell, seed: 3, status: "failed", reason: "the worker was killed" }

  test("without any record: sentences instead of charts", async () => {
    const files = await render(studyOf({}))
    expect([...files.keys()].sort()).toEqual([...tables, ...data, "index.html", "summary.md"].sort())
    expectSound(files)
    expect(file(files, "index.html").includes("<svg")).toBe(false)
    for (const sentence of ["No fine-tuning run was recorded.", "No trajectory was recorded."]) {
      expectContains(file(files, "index.html"), sentence)
      expectContains(file(files, "summary.md"), sentence)
    }
  })

  test("one run: its accuracy and no interval", async () => {
    const files = await render(studyOf({ runs: [done("vanilla", 1e-5, 1, 200)] }))
    expectSound(files)
    expect(rowsOf(file(files, "table-1.csv"))[0]).toMatchObject({
      s_ddof0: "",
      mean_t_low: "",
      mean: "72.202166065",
    })
    expectContains(file(files, "summary.md"), "| one run |")
    expectContains(
      file(files, "summary.md"),
      "## Same-seed comparison\n\n- No other arm has fine-tuning runs",
    )
  })

  test("a failed run, a diverged run and a failed unit are counted separately, with reasons", async () => {
    const files = await render(studyOf({ runs: [done("vanilla", 1e-5, 1, 131), divergedRun, lostRun] }))
    expectSound(files)
    expect(rowsOf(file(files, "table-1.csv"))[0]).toMatchObject({
      runs: "2",
      failures: "2",
      diverged: "1",
      units_without_run: "1",
    })
    expect(rowsOf(file(files, "unfinished.csv"))).toEqual([
      {
        arm: "vanilla",
        lr: "0.00001",
        seed: "2",
        status: "diverged",
        step: "12",
        reason: "the loss was not a number",
      },
      {
        arm: "vanilla",
        lr: "0.00001",
        seed: "3",
        status: "failed",
        step: "",
        reason: "the worker was killed",
      },
    ])
    const summary = file(files, "summary.md")
    expectContains(
      summary,
      "2 fine-tuning runs ended, of which 1 diverged; 1 unit gave no run; 2 of 2 runs failed (no better than the majority baseline, or diverged).",
    )
    expectContains(summary, "diverged at step 12")
  })

  test("every run diverged: no accuracy is drawn, and the failures are reported", async () => {
    const files = await render(studyOf({ runs: [divergedRun, { ...divergedRun, seed: 4 }] }))
    expectSound(files)
    expect(files.has("figure-1.svg")).toBe(false)
    expectContains(file(files, "summary.md"), "vanilla: 2 of 2 runs failed; no run has an accuracy.")
    expectContains(file(files, "summary.md"), "| all diverged |")
  })

  test("numbers that are not finite are left out and counted", async () => {
    const [first, ...others] = small.during
    const study: Study = {
      ...small,
      during: [{ ...first!, normalised: Number.NaN }, ...others],
      trajectory: small.trajectory.map((point, i) => ({
        ...point,
        ...(i < 2 ? { r: Number.NaN } : {}),
        ...(i === 2 ? { loss: Number.NaN } : {}),
      })),
    }
    const files = await render(study)
    expectSound(files)
    const summary = file(files, "summary.md")
    const leftOut = "Left out because they are not finite:"
    expectContains(summary, `${leftOut} 1 of ${small.during.length} effective ranks during fine-tuning.`)
    expectContains(summary, `${leftOut} 2 of ${small.trajectory.length} trajectory points.`)
  })
})

test("text from outside is escaped in the page, its figures and Markdown", async () => {
  const hostile = `<b onclick="x">&'|\`*\\[a](b)`
  const study = studyOf({
    title: hostile,
    provenance: { [hostile]: hostile },
    arms: [hostile],
    runs: [1, 2, 3].map((seed) => done(hostile, 1e-5, seed, 150 + seed)),
    before: [rank(hostile, 1, 1, 3)],
    during: [{ ...rank(hostile, 1, 1, 3), lr: 1e-5, step: 1 }],
    trajectory: [{ arm: hostile, lr: 1e-5, seed: 1, step: 1, r: 1, phi: 0, loss: 0.7 }],
  })
  const files = await render({
    ...study,
    runs: [
      ...study.runs,
      { arm: hostile, lr: 1e-5, seed: 9, status: "failed", reason: `${hostile}\n# heading` },
    ],
  })
  const page = file(files, "index.html")
  expect(/<b[ >]/.exec(page)?.[0]).toBeUndefined()
  const summary = file(files, "summary.md")
  expectContains(summary, `# \\<b onclick="x"\\>\\&'\\|\\\`\\*\\\\\\[a\\](b)`)
  expect(summary).not.toContain("\n# heading")
  expectContains(file(files, "table-1.csv"), `"<b onclick=""x"">&'|\`*\\[a](b)"`)
})

describe("a study of a task with another metric", () => {
  const ratio = (numerator: number): Ratio => ({ numerator, denominator: 1 })
  const scored = (metric: MetricName, baseline: Ratio, values: readonly Ratio[]) =>
    studyOf({
      runs: ["vanilla", "SimCSE"].flatMap((arm) =>
        values.map(
          (value, i): RunRecord => ({
            arm,
            lr: 1e-5,
            seed: i + 1,
            status: "done",
            metric,
            value,
            baseline,
            finalLoss: 0.1,
          }),
        ),
      ),
    })

  test("F1: against that of the majority baseline, as a fraction of counts", async () => {
    const values = [
      { numerator: 90, denominator: 100 },
      { numerator: 81, denominator: 100 },
    ]
    const files = await render(scored("f1", { numerator: 162, denominator: 200 }, values))
    const summary = file(files, "summary.md")
    expectContains(summary, "Table 1. F1 after fine-tuning, over seeds (%)")
    expectContains(summary, "A run fails if its F1 is no higher than that of the majority baseline (81.0 %).")
    expectContains(summary, "vanilla: 1 of 2 runs failed; highest mean F1 85.5 % at peak learning rate 1e-5")
    expectContains(file(files, "figure-1.svg"), ">majority 81.0 %<")
    expect(rowsOf(file(files, "runs.csv"))[1]).toMatchObject({ f1: "81", baseline_f1: "81", failed: "true" })
    expectSound(files)
  })

  test("a correlation: below 0 too, and never called accuracy", async () => {
    for (const metric of ["matthews", "pearson", "spearman"] as const) {
      const files = await render(scored(metric, ratio(0), [ratio(-0.05), ratio(0), ratio(0.125)]))
      const name = `${metric.charAt(0).toUpperCase()}${metric.slice(1)} correlation`
      const summary = file(files, "summary.md")
      expectContains(summary, `Figure 1. ${name} after fine-tuning against peak learning rate`)
      expectContains(summary, `vanilla: 2 of 3 runs failed; highest mean ${name} 2.5 ×100 at`)
      expectContains(summary, `Same-seed comparison with vanilla (×100)`)
      expect(rowsOf(file(files, "table-1.csv"))[0]).toMatchObject({ mean: "2.5", max: "12.5", failures: "2" })
      expectSound(files)
      for (const [path, content] of files) {
        expect([path, /.{0,20}accura.{0,20}/i.exec(content)?.[0]]).toEqual([path, undefined])
        if (metric !== "matthews") expect([path, content.includes("majority")]).toEqual([path, false])
      }
    }
  })

  test("all values below 0: the best of them is the highest", async () => {
    const files = await render(scored("pearson", ratio(0), [ratio(-0.5), ratio(-0.25)]))
    expectContains(file(files, "summary.md"), "highest mean Pearson correlation −37.5 ×100")
  })

  test("no run ended: the texts speak of accuracy", async () => {
    const files = await render(studyOf({}))
    expectContains(file(files, "summary.md"), "Table 1. Accuracy after fine-tuning, over seeds (%)")
  })
})
