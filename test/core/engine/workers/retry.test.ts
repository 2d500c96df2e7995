import { expect, test } from "bun:test"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { UnitOutcome } from "../../../../core/engine/job.ts"
import type { Job } from "../../../../core/engine/plan.ts"
import { retrying } from "../../../../core/engine/workers/retry.ts"
import { WorkerLost } from "../../../../core/engine/workers/worker-process.ts"

const job = {
  unit: { key: "run", label: "run seed=1" },
  wanted: true,
  observers: [{ key: "probe" }],
  cost: { flops: 1, memory: 3e9, disk: 0, scratch: 0 },
} as unknown as Job

const lost = (kind: WorkerLost["kind"], reason: string) =>
  new WorkerLost({ kind, reason, begun: true, starting: false, output: ["a last line"], peakMemory: 2.5e9 })
const killed = lost("lost", "it was killed")
const exhausted = lost("memory", "memory ran out")
const made: readonly UnitOutcome[] = [{ key: "run", status: "done", seconds: 1 }]

/** What attempts that end like this come to, with the pauses between them and what is told. */
const following = (ends: readonly (WorkerLost | readonly UnitOutcome[])[]) =>
  Effect.runPromise(
    Effect.gen(function* () {
      const said: string[] = []
      const alone: boolean[] = []
      const attempt = (isAlone: boolean) =>
        Effect.suspend(() => {
          const end = ends[alone.length]!
          alone.push(isAlone)
          return end instanceof WorkerLost ? Effect.fail(end) : Effect.succeed(end)
        })
      const limit = { bytes: 4e9, by: "of the machine" }
      const fiber = yield* Effect.forkChild(
        retrying(job, attempt, { processes: 2, limit, onLog: (line) => said.push(line) }),
      )
      yield* TestClock.adjust("10 seconds")
      return { outcomes: yield* Fiber.join(fiber), said, alone }
    }).pipe(Effect.provide(TestClock.layer())),
  )

const reasons = (outcomes: readonly UnitOutcome[]) =>
  outcomes.flatMap((outcome) =>
    outcome.status === "failed" ? [{ key: outcome.key, kind: outcome.kind, reason: outcome.reason }] : [],
  )

test("a killed process is tried again after a pause, which is told", async () => {
  const { outcomes, said, alone } = await following([killed, killed, made])
  expect(outcomes).toEqual(made)
  expect(alone).toEqual([false, false, false])
  expect(said).toEqual([
    "run seed=1: it was killed; it is tried again in 1.0 s",
    "run seed=1: it was killed; it is tried again in 2.0 s",
  ])
})

test("after four attempts it is reported, with how each of them ended", async () => {
  const same = await following([killed, killed, killed, killed])
  const reason = "in each of 4 attempts, it was killed; its last output:\na last line"
  expect(reasons(same.outcomes)).toEqual([
    { key: "run", kind: "lost", reason },
    { key: "probe", kind: "lost", reason },
  ])
  const other = lost("lost", "it did not answer")
  const { outcomes } = await following([killed, other, killed, killed])
  expect(reasons(outcomes)[0]!.reason).toStartWith(
    "4 attempts failed: it was killed; then it did not answer; then it was killed; then it was killed; ",
  )
})

test("what would fail again is not tried again, nor is what comes after a retry", async () => {
  const refused = lost("plugin", "it ended with exit code 3")
  const first = await following([refused])
  expect([first.alone, first.said]).toEqual([[false], []])
  expect(reasons(first.outcomes)[0]).toEqual({
    key: "run",
    kind: "plugin",
    reason: "it ended with exit code 3; its last output:\na last line",
  })
  const second = await following([killed, refused])
  expect(reasons(second.outcomes)[0]).toMatchObject({ key: "run", kind: "plugin" })
})

test("what ran out of memory is tried once more, alone, and then reported with what it used and was to use", async () => {
  const figures =
    "(it used at least 2.5 GB, the plan estimates 3.0 GB, and the memory of the machine is 4.0 GB for 2 jobs)"
  const passed = await following([exhausted, made])
  expect([passed.outcomes, passed.alone]).toEqual([made, [false, true]])
  expect(passed.said).toEqual([
    `run seed=1: memory ran out ${figures}; it is tried again with no other job beside it`,
  ])
  const { outcomes, alone } = await following([killed, exhausted, killed, exhausted])
  expect(alone).toEqual([false, false, true, true])
  expect(reasons(outcomes)[0]).toEqual({
    key: "run",
    kind: "memory",
    reason: `memory ran out ${figures}, also with no other job beside it. Use a machine with more memory, or options that need less; its last output:\na last line`,
  })
})
