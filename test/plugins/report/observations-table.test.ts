import { expect, test } from "bun:test"
import { Effect } from "effect"
import type { CohortTaken, PluginError } from "../../../core/api/plugin.ts"
import type { Row } from "../../../core/artifacts/observations.ts"
import type { PageGiven } from "../../../core/artifacts/page.ts"
import { observationsTable } from "../../../plugins/report/observations-table.ts"
import { completed } from "../finetune/running.ts"

type Start = (context: object) => Effect.Effect<PageGiven, PluginError>
const start = observationsTable.run as unknown as Start
const give = (observations: readonly CohortTaken<readonly Row[]>[]) =>
  Effect.runPromise(
    start({ options: completed(observationsTable, { title: "Norms <&>" }), inputs: { observations } }),
  )
const done = (value: readonly Row[]) => ({ status: "done", value }) as const

test("has a column for every label and every cell, and a line for a run that diverged", async () => {
  const files = await give([
    {
      labels: { arm: "vanilla", lr: 1e-5 },
      members: [
        {
          seed: 1,
          outcome: done([
            { step: 0, norm: 1.5 },
            { step: 1, gram: Float64Array.of(1, 2) },
          ]),
        },
        { seed: 2, outcome: { status: "diverged", reason: "the loss is NaN", step: 3 } },
      ],
    },
    { labels: { layer: "a, b" }, members: [{ seed: 1, outcome: done([{ step: null, norm: true }]) }] },
  ])
  expect(files.get("observations.csv")).toBe(
    [
      "arm,lr,layer,seed,status,step,norm,gram",
      "vanilla,0.00001,,1,done,0,1.5,",
      "vanilla,0.00001,,1,done,1,,1 2",
      "vanilla,0.00001,,2,diverged,,,",
      ',,"a, b",1,done,,true,',
      "",
    ].join("\r\n"),
  )
  const page = String(files.get("index.html"))
  expect(page).toContain("<h1>Norms &#60;&#38;&#62;</h1>")
  expect(page).toContain("<p>4 rows;")
  expect(page.match(/<tr>/g)).toHaveLength(5)
})

test("a run that finished without rows has a line, as one that diverged has", async () => {
  const members = [
    { seed: 1, outcome: done([]) },
    { seed: 2, outcome: done([{ step: 0 }]) },
  ]
  const files = await give([{ labels: { arm: "vanilla" }, members }])
  expect(files.get("observations.csv")).toBe(
    ["arm,seed,status,step", "vanilla,1,done,", "vanilla,2,done,0", ""].join("\r\n"),
  )
})

test("with many rows, the page has the first 1000 and the CSV has all", async () => {
  const rows = Array.from({ length: 1200 }, (_, step) => ({ step }))
  const files = await give([{ labels: {}, members: [{ seed: 1, outcome: done(rows) }] }])
  expect(String(files.get("index.html"))).toContain("<p>the first 1000 of 1200 rows;")
  expect(String(files.get("index.html")).match(/<tr>/g)).toHaveLength(1001)
  expect(String(files.get("observations.csv")).split("\r\n")).toHaveLength(1202)
})
