import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { templateReport } from "../../../../plugins/template/report.ts"
import { testPlugin, toyStudy, withArtifacts } from "../../../../plugins/testing/testing.ts"

testPlugin(templateReport, { options: { title: "Runs & seeds" } })

test("lists every run once, with its labels", () =>
  withArtifacts(async (artifactOf) => {
    const { folder } = await artifactOf(templateReport({ runs: [toyStudy.runs], title: "Runs & seeds" }))
    const [header, ...rows] = readFileSync(join(folder, "metrics.csv"), "utf8").trim().split("\r\n")
    expect(header).toBe("arm,seed,status,metric,value,baseline")
    expect(rows.map((row) => row.split(",").slice(0, 4))).toEqual([
      ["toy", "1", "done", "accuracy"],
      ["toy", "2", "done", "accuracy"],
    ])
    expect(readFileSync(join(folder, "index.html"), "utf8")).toContain("<h1>Runs &#38; seeds</h1>")
  }))
