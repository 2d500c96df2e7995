import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import type { Node } from "../../core/api/plugin.ts"
import type { AnyArtifactKind, Taken } from "../../core/artifacts/kind.ts"
import { startBackend } from "../../core/tensor/backend.ts"
import { wasm } from "../backend/wasm.ts"
import { Making } from "./making.ts"

/** Makes a node and what it needs, and gives the artifact as a plugin that takes it gets it. */
export type ArtifactOf = <K extends AnyArtifactKind>(node: Node<K>) => Promise<Taken<K>>

/**
 * Runs `body` with a function that makes nodes, on the backend `wasm`. Their artifacts, in which there are files that
 * are read on demand, are kept until `body` ends.
 *
 * ```ts
 * test("one row for each layer", () =>
 *   withArtifacts(async (artifactOf) => {
 *     const rows = await artifactOf(weightNorm({ run: toyStudy.run, steps: { at: [0] } }))
 *     expect(rows).toHaveLength(2)
 *   }))
 * ```
 *
 * Both fail with the message that a user would see, of a plugin that fails or of a graph that cannot be built.
 */
export const withArtifacts = async <A>(body: (artifactOf: ArtifactOf) => Promise<A>): Promise<A> => {
  const folder = await mkdtemp(join(tmpdir(), "kasosei-artifacts-"))
  try {
    await Effect.runPromise(startBackend(wasm))
    return await body(
      async <K extends AnyArtifactKind>(node: Node<K>) =>
        (await Effect.runPromise(
          Effect.gen(function* () {
            const making = yield* Making.of({ node }, folder, wasm)
            yield* making.make()
            return yield* node.plugin.gives.read((yield* making.read("node")).folder)
          }),
        )) as Taken<K>,
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
