import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { levelsOf, readLevels, writeLevels } from "../../../../core/engine/launchers/levels.ts"
import { dependencies, type Plan } from "../../../../core/engine/plan.ts"
import { inStore, planSample } from "../../sample/study.ts"

let out: string
let plan: Plan
beforeAll(async () => {
  out = mkdtempSync(join(tmpdir(), "kasosei-levels-"))
  plan = await inStore(out, planSample("lr=1,2", "seeds=1..3"))
})
afterAll(() => rmSync(out, { recursive: true, force: true }))

const places = ({ jobs }: Plan) => {
  const levels = levelsOf({ ...plan, jobs })
  return new Map(levels.flatMap((tasks, level) => tasks.map(({ job }) => [job, level] as const)))
}

test("a job's level is the first after those whose output it takes", () => {
  expect(levelsOf(plan).map((tasks) => tasks.length)).toEqual([1, 6, 1])
  const levels = places(plan)
  expect(levels.size).toBe(plan.jobs.length)
  for (const [job, after] of dependencies(plan.jobs).entries()) {
    expect(levels.get(job)!).toBe(Math.max(-1, ...after.map((each) => levels.get(each)!)) + 1)
  }
})

test("jobs in any order have the same levels", () => {
  const levels = places(plan)
  const reversed = places({ ...plan, jobs: [...plan.jobs].reverse() })
  for (const [job, level] of levels) expect(reversed.get(plan.jobs.length - 1 - job)).toBe(level)
})

test("within a level, what needs most comes first: tensors, then memory, then time", () => {
  const [source, first, second, third, ...rest] = plan.jobs
  const needing = (job: Plan["jobs"][number], memory: number, flops: number) => ({
    ...job,
    observers: [],
    own: { ...job.own, flops },
    cost: { ...job.cost, memory, flops },
  })
  // The observers of the sample compute on a backend, so that only a job that has some does.
  const jobs = [source!, needing(first!, 2e9, 1e9), needing(second!, 2e9, 8e12), needing(third!, 9e9, 1e6)]
  const [, level] = levelsOf({ ...plan, jobs: [...jobs, rest[0]!] })
  expect(level!.map(({ job }) => job)).toEqual([4, 3, 2, 1])
  expect(level!.map(({ tensors }) => tensors)).toEqual([true, false, false, false])
})

test("are read as they were written", async () => {
  const id = "20260102T030405-0a1b2c3d"
  const levels = levelsOf(plan)
  await Effect.runPromise(writeLevels(out, id, levels))
  const jobs = levels.map((tasks) => tasks.map(({ job }) => job))
  expect(await Effect.runPromise(readLevels(out, id))).toEqual(jobs)
})
