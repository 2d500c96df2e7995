import { afterEach, beforeEach, expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Deferred, Effect, Fiber, type Scope } from "effect"
import { beginCollecting, beginWork } from "../../../../core/engine/store/entrance.ts"
import { type Owner, Owners } from "../../../../core/engine/store/owners.ts"

let root: string
beforeEach(async () => {
  root = await fs.mkdtemp(join(tmpdir(), "kasosei-entrance-"))
})
afterEach(() => fs.rm(root, { recursive: true, force: true }))

const as = <A, E>(role: Owner["role"], body: Effect.Effect<A, E, Owners | Scope.Scope>) =>
  body.pipe(Effect.provide(Owners.layer(root, { role, command: "a test" })), Effect.scoped)

test("work waits for as long as somebody removes, says so once, and then begins", async () => {
  const lines: string[] = []
  const events: string[] = []
  await Effect.runPromise(
    Effect.gen(function* () {
      const [entered, over] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const removing = as(
        "collector",
        Effect.gen(function* () {
          expect(yield* beginCollecting).toEqual([])
          yield* Deferred.succeed(entered, undefined)
          yield* Deferred.await(over)
          events.push("removed")
        }),
      )
      const working = as(
        "supervisor",
        Effect.andThen(
          beginWork((line) => lines.push(line)),
          Effect.sync(() => events.push("work")),
        ),
      )
      const collector = yield* Effect.forkChild(removing)
      yield* Deferred.await(entered)
      const worker = yield* Effect.forkChild(working)
      yield* Effect.sleep(500)
      yield* Deferred.succeed(over, undefined)
      yield* Effect.all([Fiber.join(collector), Fiber.join(worker)])
    }),
  )
  expect(events).toEqual(["removed", "work"])
  expect(lines).toEqual([expect.stringMatching(/^process \d+ on .* removes what nothing needs .*: waiting$/)])
})

test("nothing is removed while somebody is at work; another that removes is no reason", async () => {
  await Effect.runPromise(
    as(
      "worker",
      Effect.gen(function* () {
        const self = yield* (yield* Owners).self
        expect(yield* as("collector", beginCollecting)).toMatchObject([{ id: self.id, role: "worker" }])
      }),
    ),
  )
  await Effect.runPromise(
    as(
      "collector",
      Effect.gen(function* () {
        expect(yield* beginCollecting).toEqual([])
        expect(yield* as("collector", beginCollecting)).toEqual([])
      }),
    ),
  )
})
