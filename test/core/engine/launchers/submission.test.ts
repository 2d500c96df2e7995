import { afterEach, beforeEach, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { Queue } from "../../../../core/api/launcher.ts"
import { launchOf, writeLaunch } from "../../../../core/engine/launch.ts"
import { stillQueued } from "../../../../core/engine/launchers/submission.ts"
import { inStore, planSample, sampleFile, settingsOfWorkers } from "../../sample/study.ts"

let out: string
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), "kasosei-submission-"))
})
afterEach(() => rmSync(out, { recursive: true, force: true }))

const report = () => join(out, "sample", "0123456789ab")

/** Records a launch whose job 101 was submitted, and asks a queue that says this of it, one answer after the other. */
const asking = (answers: readonly (readonly string[] | undefined)[], whose = report()) =>
  inStore(
    out,
    Effect.gen(function* () {
      const plan = yield* planSample("lr=1", "seeds=1")
      const settings = settingsOfWorkers(sampleFile, plan, {})
      const launch = launchOf(
        plan,
        {
          ...settings,
          ...{ branch: undefined, out, processes: 1, environments: undefined, timeLimit: undefined },
          onLog: () => {},
        },
        { name: "sample", report: report() },
      )
      yield* writeLaunch(out, launch)
      let asked = 0
      const queue: Queue = {
        submit: () => Effect.die("nothing is submitted here"),
        submitted: () => Effect.succeed({ jobs: ["101"], cancel: "scancel 101" }),
        unfinished: () => Effect.sync(() => answers[asked++]?.map((job) => ({ job }))),
      }
      const lines: string[] = []
      let ended = false
      const fiber = yield* stillQueued(queue, out, whose, (line) => lines.push(line)).pipe(
        Effect.match({ onFailure: ({ message }) => message, onSuccess: (found) => found }),
        Effect.ensuring(
          Effect.sync(() => {
            ended = true
          }),
        ),
        Effect.forkChild,
      )
      while (!ended) {
        yield* TestClock.adjust("10 seconds")
        yield* Effect.promise(() => Bun.sleep(1))
      }
      return { launch: launch.id, found: yield* Fiber.join(fiber), lines, asked }
    }).pipe(Effect.provide(TestClock.layer())),
  )

test("a queue that does not answer at once is asked again", async () => {
  const { launch, found, lines, asked } = await asking([undefined, undefined, ["101"]])
  expect(found).toEqual([{ launch, unfinished: ["101"], cancel: "scancel 101" }])
  expect([lines[0], asked]).toEqual(["the queue does not answer; it is asked again", 3])
})

test("while it does not answer, nothing that may be in it is submitted again; another report is", async () => {
  const { launch, found } = await asking([])
  expect(found).toBe(
    `the queue does not answer, and jobs of the launch ${launch} for the same report may still be in it (101); nothing was submitted: start again once it answers`,
  )
  expect((await asking([], join(out, "sample", "ba9876543210"))).found).toEqual([])
})
