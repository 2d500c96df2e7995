/** Is at work on the store that it is given, and takes the leases that it is told to. */
import { createInterface } from "node:readline"
import { Effect, Layer } from "effect"
import { Leases } from "../../../../core/engine/store/leases.ts"
import { Owners } from "../../../../core/engine/store/owners.ts"

const root = process.argv[2]!
const owners = Owners.layer(root, { role: "worker", command: "a test" })

await Effect.runPromise(
  Effect.scoped(
    Effect.gen(function* () {
      const { id, pid } = yield* (yield* Owners).self
      process.stdout.write(`${id} ${pid}\n`)
      const leases = yield* Leases
      const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
      while (true) {
        const { value, done } = yield* Effect.promise(() => lines.next())
        if (done === true) return
        const held = yield* leases.take([{ key: value, label: value }])
        process.stdout.write(`${held === undefined ? "taken" : held.owner}\n`)
      }
    }),
  ).pipe(Effect.provide(Layer.provideMerge(Leases.layer(root), owners))),
)
