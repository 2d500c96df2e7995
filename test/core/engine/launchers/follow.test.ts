import { afterEach, beforeEach, expect, test } from "bun:test"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { Queue, Queued } from "../../../../core/api/launcher.ts"
import { Follower, followQueue } from "../../../../core/engine/launchers/follow.ts"
import type { Plan } from "../../../../core/engine/plan.ts"
import { Leases } from "../../../../core/engine/store/leases.ts"
import { Owners } from "../../../../core/engine/store/owners.ts"
import type { Store } from "../../../../core/engine/store/store.ts"
import { carryOut, inStore, planSample } from "../../sample/study.ts"

let out: string
beforeEach(() => {
  out = fs.mkdtempSync(join(tmpdir(), "kasosei-follow-"))
})
afterEach(() => fs.rmSync(out, { recursive: true, force: true }))

const launch = "20260102T030405-0a1b2c3d"

/** A queue that has what `queued` has. */
const queueOf = (queued: ReturnType<Queue["unfinished"]>): Queue => ({
  submit: () => Effect.die("nothing is submitted here"),
  submitted: () => Effect.succeed(undefined),
  unfinished: () => queued,
})

/** Follows a plan of the sample while `meanwhile` happens; `until` lets time go by. */
const following = <A, E>(
  queued: ReturnType<Queue["unfinished"]>,
  meanwhile: (
    plan: Plan,
    said: readonly string[],
    until: (holds: () => boolean) => Effect.Effect<void>,
  ) => Effect.Effect<A, E, Store>,
) =>
  inStore(
    out,
    Effect.gen(function* () {
      const plan = yield* planSample("lr=1", "seeds=1")
      const follower = new Follower(plan)
      yield* follower.remember
      const said: string[] = []
      let ended = false
      const fiber = yield* followQueue(queueOf(queued), plan, follower, {
        launch,
        jobs: ["101"],
        onEvent: (event) => said.push(event.type),
        onLog: (line) => said.push(line),
      }).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            ended = true
          }),
        ),
        Effect.forkChild,
      )
      const until = Effect.fnUntraced(function* (holds: () => boolean) {
        while (!holds()) {
          yield* TestClock.adjust("5 seconds")
          yield* Effect.promise(() => Bun.sleep(1))
        }
      })
      yield* meanwhile(plan, said, until)
      yield* until(() => ended)
      return { said, summary: yield* Fiber.join(fiber) }
    }).pipe(
      Effect.provide(Leases.layer(out)),
      Effect.provide(Owners.layer(out, { role: "supervisor", command: "bun test" })),
      Effect.scoped,
      Effect.provide(TestClock.layer()),
    ),
  )

test("a store that cannot be read for a while is told once, and followed once it can be again", async () => {
  const artifacts = join(out, "artifacts")
  let looks = 0
  let queued: readonly Queued[] = [{ job: "101" }]
  const { said, summary } = await following(
    Effect.sync(() => {
      looks++
      return queued
    }),
    (plan, said, until) =>
      Effect.gen(function* () {
        fs.writeFileSync(artifacts, "")
        yield* until(() => looks === 3)
        expect(said).toEqual([
          `cannot list ${artifacts}: expected a folder, but part of the path is a file. That stops no job, and it is tried again`,
        ])
        // Even if the queue is empty by then.
        queued = []
        yield* until(() => looks === 4)
        // The look that follows on the empty queue still finds it so.
        yield* Effect.promise(() => Bun.sleep(200))
        fs.rmSync(artifacts)
        yield* carryOut(plan)
      }),
  )
  expect(summary).toEqual({ reused: 0, made: 4, failures: [] })
  expect(said.slice(1)).toEqual(["started", "ended", "started", "ended", "started", "ended"])
})

test("a job that will not start by itself is told once", async () => {
  let looks = 0
  const { said, summary } = await following(
    Effect.sync(() => {
      looks++
      return looks > 3 ? [] : [{ job: "101", stuck: "it is held" }, { job: "102" }]
    }),
    () => Effect.void,
  )
  expect(said).toEqual(["the job 101 will not start by itself: it is held"])
  expect(summary.made).toBe(0)
})
