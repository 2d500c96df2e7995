import { afterEach, beforeEach, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { recordFailures } from "../../../../core/engine/execute.ts"
import { summaryOf } from "../../../../core/engine/launchers/summary.ts"
import { keysGivenBy, type Plan } from "../../../../core/engine/plan.ts"
import { Store } from "../../../../core/engine/store/store.ts"
import { carryOut, inStore, planSample } from "../../sample/study.ts"

let out: string
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), "kasosei-summary-"))
})
afterEach(() => rmSync(out, { recursive: true, force: true }))

const launch = "20260102T030405-0a1b2c3d"
const unitsOf = ({ graph: { units } }: Plan) => {
  const of = (name: string, words = "") =>
    units.find(({ plugin, label }) => plugin.name === name && label.includes(words))!
  return {
    source: of("sample-source"),
    walks: [of("sample-walk", "seed=1"), of("sample-walk", "seed=2")] as const,
    report: of("sample-listing"),
    all: new Map(units.map((unit) => [unit.key, unit])),
  }
}
/** How the store says that a plan's jobs have ended in `launch`. */
const ended = (plan: Plan) =>
  Effect.map(summaryOf(plan.graph, new Set(plan.jobs.flatMap(keysGivenBy)), launch), ({ failures }) =>
    failures.map(({ unit, kind, reason, without }) => [unit.label, kind, reason, without?.label]),
  )

test("a task's failures are told with their kind, and what has told nothing is lost", async () => {
  await inStore(
    out,
    Effect.gen(function* () {
      const plan = yield* planSample("lr=1", "seeds=1,2")
      const { source, walks, report, all } = unitsOf(plan)
      const [first, second] = walks
      yield* recordFailures(
        [
          { key: first.key, status: "failed", kind: "input", reason: "damaged: x" },
          { key: second.key, status: "failed", kind: "time", reason: "too late" },
        ],
        all,
        launch,
      )
      const told = yield* ended(plan)
      expect(told.filter(([label]) => !label!.startsWith("sample-watch"))).toEqual([
        [source.label, "lost", "its task ended before it did, or never began", undefined],
        // It may be damaged after it was made: that is the reason, not that it is gone.
        [first.label, "input", "damaged: x", undefined],
        [second.label, "time", "too late", undefined],
        [report.label, "lost", "its task ended before it did, or never began", undefined],
      ])
    }),
  )
})

test("a failure of an earlier launch is none of this one", async () => {
  await inStore(
    out,
    Effect.gen(function* () {
      yield* carryOut(yield* planSample("lr=1", "seeds=1,2", "failAt=2"))
      const plan = yield* planSample("lr=1", "seeds=1,2", "failAt=2")
      const { walks, all } = unitsOf(plan)
      const [first, second] = walks
      const failure = (key: string) =>
        ({ key, status: "failed", kind: "input", reason: "damaged: x" }) as const
      yield* recordFailures([failure(first.key)], all, "20250102T030405-0a1b2c3d")
      const kinds = (yield* ended(plan)).map(([label, kind]) => [label, kind])
      expect(kinds).toContainEqual([first.label, "lost"])
      expect(kinds).toContainEqual([second.label, "lost"])
      const store = yield* Store
      expect(yield* store.stored(second)).toMatchObject({
        status: "absent",
        failed: { kind: "plugin", reason: "asked to fail" },
      })
    }),
  )
})
