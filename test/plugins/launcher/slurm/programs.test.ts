import { afterEach, beforeEach, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { submit, unfinishedJobs } from "../../../../plugins/launcher/slurm/programs.ts"
import { StandIn } from "../stand-in.ts"

const path = process.env["PATH"]
let folder: string
let slurm: StandIn
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kasosei-programs-"))
  slurm = new StandIn(folder)
  process.env["PATH"] = `${slurm.bin}:${path}`
})
afterEach(() => {
  process.env["PATH"] = path
  rmSync(folder, { recursive: true, force: true })
})

/** Submits to a Slurm that says this, until it gives up, and how often it has tried. */
const refused = (says: string) =>
  Effect.runPromise(
    Effect.gen(function* () {
      slurm.behave({ refuses: { after: 0, says } })
      let ended = false
      const fiber = yield* submit(["script"], () => {}).pipe(
        Effect.match({ onFailure: ({ message }) => message, onSuccess: () => "" }),
        Effect.ensuring(
          Effect.sync(() => {
            ended = true
          }),
        ),
        Effect.forkChild,
      )
      while (!ended) {
        yield* TestClock.adjust("1 minute")
        yield* Effect.promise(() => Bun.sleep(5))
      }
      return { message: yield* Fiber.join(fiber), tries: slurm.submissions.length }
    }).pipe(Effect.provide(TestClock.layer())),
  )

const failed = "sbatch: error: Batch job submission failed"

test("what may be a full queue or a job that asks for too much is tried twice more, and then told", async () => {
  const says = `${failed}: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)`
  expect(await refused(says)).toEqual({ message: `sbatch said: ${says}`, tries: 3 })
})

test("a queue that says it is full is asked for longer, and what is refused for ever once", async () => {
  const says = `sbatch: error: QOSMaxSubmitJobPerUserLimit\n${failed}: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)`
  expect((await refused(says)).tries).toBe(19)
  rmSync(join(folder, "calls"))
  expect((await refused(`${failed}: Invalid qos specification`)).tries).toBe(1)
})

test("what squeue lists is unfinished, and stuck if its reason does not pass by itself", async () => {
  slurm.behave({
    queued: [
      "101 None",
      "101 JobHeldUser",
      "102 Dependency",
      "103 launch failed requeued held",
      "104 JobHeldAdmin",
    ],
  })
  expect(await Effect.runPromise(unfinishedJobs(["100", "101", "102", "103"]))).toEqual([
    { job: "101", stuck: "Slurm says JobHeldUser; scontrol show job 101 tells more" },
    { job: "102" },
    { job: "103", stuck: "Slurm says launch failed requeued held; scontrol show job 103 tells more" },
  ])
})
