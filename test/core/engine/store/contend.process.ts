/** Takes a lease again and again, and writes down when it has it; an odd one kills itself with it in the end. */
import { appendFileSync } from "node:fs"
import { Effect, Layer } from "effect"
import { Leases } from "../../../../core/engine/store/leases.ts"
import { Owners } from "../../../../core/engine/store/owners.ts"
import { stream, uniform } from "../../../../core/tensor/stream.ts"

const [root, log, name, rounds] = process.argv.slice(2) as [string, string, string, string]
const pauses = uniform({ stream: stream(Number(name), "pauses"), site: 0, iteration: 0 }, 10_000)
let paused = 0
const pause = Effect.suspend(() => Effect.sleep(3 * pauses[paused++ % pauses.length]!))
const unit = { key: "a".repeat(64), label: "a" }

await Effect.runPromise(
  Effect.gen(function* () {
    const leases = yield* Leases
    for (let round = 0; round < Number(rounds); round++) {
      const taken = yield* Effect.scoped(
        Effect.gen(function* () {
          if ((yield* leases.take([unit])) !== undefined) return false
          appendFileSync(log, `begin ${name}\n`)
          if (Number(name) % 2 === 1 && round > 20) process.kill(process.pid, "SIGKILL")
          yield* pause
          appendFileSync(log, `end ${name}\n`)
          return true
        }),
      )
      if (!taken) round--
      yield* pause
    }
  }).pipe(
    Effect.provide(
      Layer.provideMerge(Leases.layer(root), Owners.layer(root, { role: "worker", command: "a test" })),
    ),
  ),
)
