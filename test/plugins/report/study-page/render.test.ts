import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import type { Ratio } from "../../../../core/artifacts/metrics/ratio.ts"
import type { MetricName } from "../../../../core/artifacts/metrics.ts"
import { renderStudy } from "../../../../plugins/report/study-page/render.ts"
import type { RunRecord, Study } from "../../../../plugins/report/study-page/study.ts"
import { madeBy, provenanceOf, unit } from "../shared/provenance.ts"
import { done, rank, studyOf } from "./fragments.ts"
import { syntheticStudy } from "./synthetic-study.ts"

const render = (study: Study) => Effect.runPromise(renderStudy(study, provenanceOf(), "native"))

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

const tables = ["table-1.csv", "comparisons.csv", "table-2.csv", "materials.csv", "methods.csv"]
const figures = [...[1, 2, 3, 4].map((n) => `figure-${n}`), "threshold-curve"]
const drawings = figures.flatMap((name) => [`${name}.svg`, `${name}.vl.json`])
const texts = ["index.html", "summary.md", "claims.json", "provenance.html", "provenance.json"]
const data = [
  ...figures.map((name) => `${name}.csv`),
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
    expect([...files.keys()].sort()).toEqual([...tables, ...drawings, ...data, ...texts].sort())
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

describe("where it comes from", () => {
  const units = [
    unit({ label: "toy-corpus", options: { sentences: 8000 } }),
    unit({ label: "simcse", stage: "pretrain", plugin: "simcse", options: { lr: 1e-4, seed: 42 } }),
    ...[1, 2].map((seed) =>
      unit({
        label: `classification seed=${seed}`,
        stage: "finetune",
        plugin: "classification",
        options: { seed, epochs: 3 },
      }),
    ),
  ]
  const renderFrom = (of: Partial<ReturnType<typeof provenanceOf>>) =>
    Effect.runPromise(renderStudy(studyOf({}), { ...provenanceOf(units), ...of }, "native"))

  test("what may differ between two equal studies is in the provenance alone", async () => {
    const here = await renderFrom({})
    const { machine, software, computed, ...spent } = madeBy("fp32")
    const elsewhere = {
      ...spent,
      machine: { ...machine, cpu: "another processor", cores: 64 },
      software: { ...software, runtime: "deno 2.6", commit: { hash: "abc", changed: true } },
      computed: { ...computed, instructions: "AVX-512", threads: [8] },
    }
    const there = await renderFrom({
      command: "kasosei pipeline trial.ts --jobs 2",
      pipeline: { name: "trial", file: "/elsewhere/trial.ts", parameters: { lr: 1e-5, seeds: [1, 2] } },
      madeBy: elsewhere,
      units: units.map((of) => ({
        ...of,
        made: "2027-01-01T00:00:00.000Z",
        seconds: 99,
        madeBy: elsewhere,
      })),
    })
    const differing = [...here].filter(([name, content]) => there.get(name) !== content).map(([name]) => name)
    expect(differing.sort()).toEqual(["provenance.html", "provenance.json"])
    for (const word of [
      "another processor",
      "deno 2.6",
      "abc, and files changed since",
      "2027-01-01",
      "AVX-512",
    ])
      expectContains(file(there, "provenance.html"), word)
    expect(JSON.parse(file(there, "provenance.json"))).toMatchObject({
      command: "kasosei pipeline trial.ts --jobs 2",
    })
  })

  test("the page has parameters, backend, precision, version, data by digest, and the options of runs", async () => {
    const files = await renderFrom({})
    const summary = file(files, "summary.md")
    for (const line of [
      "parameters: lr=1e-5 seeds=1,2",
      "backend: native",
      "precision: fp32",
      "software: kasosei 0.1.0",
    ])
      expectContains(summary, `- ${line}`)
    expectContains(summary, "| simcse | simcse 1 | lr 1e-4, seed 42 | 2222222222222222 |")
    expectContains(summary, "| classification 1 | 2 | seed 1 \\| 2, epochs 3 |")
    expect(rowsOf(file(files, "methods.csv"))).toContainEqual({
      plugin: "classification 1",
      units: "2",
      option: "seed",
      value: "2",
    })
  })

  test("where precision is bf16 the page says what that does to ranks", async () => {
    const study = studyOf({ before: [rank("vanilla", 1, 0, 12)] })
    const of = (precision: string) =>
      Effect.runPromise(renderStudy(study, provenanceOf([unit({ madeBy: madeBy(precision) })]), "native"))
    const note = "Matrix products were computed in bfloat16"
    const summary = file(await of("bf16"), "summary.md")
    expectContains(summary, note)
    expectContains(summary, "4.7 % of those at N = 16")
    expectContains(summary, "- precision: bf16")
    expect(file(await of("fp32"), "summary.md").includes(note)).toBe(false)
  })
})

describe("the paper's numbers", () => {
  const paper = {
    stability: [
      { arm: "vanilla", lr: 1e-5, runs: 30, deviation: 9.6, mean: 64.6, max: 74, failures: 7 },
      { arm: "vanilla", lr: 2e-5, runs: 30, deviation: 3.2, mean: 50.5, max: 56.7, failures: 25 },
    ],
    ranks: [{ arm: "vanilla", layers: 24, sum: 20.06 }],
  }
  const settings = [
    { setting: "epochs", ours: 3, paper: 3, unsaid: false },
    { setting: "samples", ours: 8, paper: 16, unsaid: true },
    { setting: "layers", ours: 2, unsaid: false },
  ]
  const study = studyOf({
    runs: [1, 2].map((seed) => done("vanilla", 1e-5, seed, 100 + 100 * seed)),
    before: [rank("vanilla", 1, 0, 12)],
    paper,
    settings,
  })

  test("stand beside ours where arm and rate are the paper's, with the settings that differ", async () => {
    const files = await render(study)
    const summary = file(files, "summary.md")
    expect(rowsOf(file(files, "paper-table-1.csv"))).toEqual([
      {
        arm: "vanilla",
        lr: "0.00001",
        s_ddof0: "18.0505415162",
        paper_s_ddof0: "9.6",
        mean: "90.2527075812",
        paper_mean: "64.6",
        max: "108.303249097",
        paper_max: "74",
        failures: "0",
        runs: "2",
        paper_failures: "7",
        paper_runs: "30",
      },
    ])
    expectContains(summary, "| vanilla | 0.75 of 1 | 20.06 of 24 |")
    expectContains(summary, "Settings that differ from the paper's: samples 8 (unsaid; presumed 16).")
    expectContains(summary, "| epochs | 3 | 3 |")
    expectContains(summary, "| samples ≠ | 8 | unsaid; presumed 16 |")
    expectContains(summary, "| layers | 2 |  |")
  })

  test("no table of them where no arm and rate are the paper's", async () => {
    const files = await render({
      ...study,
      runs: [done("MLM", 1e-5, 1, 200)],
      before: [rank("MLM", 1, 0, 12)],
    })
    expect([...files.keys()].filter((name) => name.startsWith("paper"))).toEqual([])
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
      incomplete: "0",
    })
  })

  test("raw observations are written unchanged", async () => {
    const files = await render(small)
    expect(rowsOf(file(files, "runs.csv"))).toHaveLength(small.runs.length)
    expect(rowsOf(file(files, "trajectory.csv")).map(({ r }) => Number(r))).toEqual(
      small.trajectory.map(({ r }) => expect.closeTo(r, 10)),
    )
    const during = rowsOf(file(files, "ranks-during.csv"))
    expect(during.map(({ erank }) => Number(erank))).toEqual(small.during.map(({ erank }) => erank))
    expect(during.map(({ eigenvalues }) => eigenvalues!.split(" ").map(Number))).toEqual(
      small.during.map(({ eigenvalues }) => eigenvalues.map((each) => expect.closeTo(each, 10))),
    )
  })
})

describe("an incomplete study", () => {
  const cell = { arm: "vanilla", checkpoint: null, lr: 1e-5 }
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
    expect([...files.keys()].sort()).toEqual([...tables, ...data, ...texts].sort())
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
      mean_low: "",
      mean: "72.202166065",
    })
    expectContains(file(files, "summary.md"), "| one run |")
    expectContains(
      file(files, "summary.md"),
      "### Same-seed comparison\n\n- No other arm has fine-tuning runs",
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
        checkpoint: "",
        lr: "0.00001",
        seed: "2",
        status: "diverged",
        step: "12",
        reason: "the loss was not a number",
      },
      {
        arm: "vanilla",
        checkpoint: "",
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

  test("in the worst case a diverged run has an accuracy of 0; failures have Wilson's interval", async () => {
    const runs = [done("vanilla", 1e-5, 1, 277), done("vanilla", 1e-5, 4, 277), divergedRun]
    const files = await render(studyOf({ runs }))
    const [row] = rowsOf(file(files, "table-1.csv"))
    expect(row).toMatchObject({ mean: "100", worst_case_mean: "66.6666666667", failures: "1", runs: "3" })
    // (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n) with p = 1/3, n = 3.
    const [z, n, p] = [1.959963984540054, 3, 1 / 3]
    const half = z * Math.sqrt((p * (1 - p)) / n + z ** 2 / (4 * n ** 2))
    const [low, high] = [-1, 1].map((side) => (100 * (p + z ** 2 / (2 * n) + side * half)) / (1 + z ** 2 / n))
    expect(Number(row!.failures_low)).toBeCloseTo(low!, 8)
    expect(Number(row!.failures_high)).toBeCloseTo(high!, 8)
    expectContains(file(files, "summary.md"), "The worst-case mean takes it as the least accuracy there is.")
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
    facts: { [hostile]: hostile },
    arms: [hostile],
    runs: [1, 2, 3].map((seed) => done(hostile, 1e-5, seed, 150 + seed)),
    before: [rank(hostile, 1, 1, 3)],
    during: [{ ...rank(hostile, 1, 1, 3), lr: 1e-5, step: 1 }],
    trajectory: [{ arm: hostile, checkpoint: null, lr: 1e-5, seed: 1, step: 1, r: 1, phi: 0, loss: 0.7 }],
  })
  const files = await render({
    ...study,
    runs: [
      ...study.runs,
      {
        arm: hostile,
        checkpoint: null,
        lr: 1e-5,
        seed: 9,
        status: "failed",
        reason: `${hostile}\n# heading`,
      },
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
            checkpoint: null,
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
