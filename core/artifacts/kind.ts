import type { Effect } from "effect"
import type { InvalidInput } from "../io/decode.ts"
import type { FileError } from "../io/files.ts"

/**
 * A kind of artifact: what one plugin gives and others take, and its format on disk.
 *
 * @typeParam Given what a plugin's `run` returns; `write` puts it into the artifact's folder, which is empty
 * @typeParam Taken what a plugin that takes the artifact receives; `read` makes it from that folder
 * @typeParam Estimate what is known of the artifact before it is made: plain JSON data (sizes, counts), from which
 *   the plugins that take it estimate their own cost
 */
export interface ArtifactKind<Name extends string, Given, Taken, Estimate> {
  readonly name: Name
  readonly write: (folder: string, given: Given) => Effect.Effect<void, FileError | InvalidInput>
  readonly read: (folder: string) => Effect.Effect<Taken, FileError | InvalidInput>
  /** Type only. Keeps `Estimate` in the signature, so that wrong wiring does not type-check. */
  readonly estimate?: Estimate
}

export type AnyArtifactKind = ArtifactKind<string, never, unknown, unknown>
export type Given<K> = K extends ArtifactKind<string, infer G, infer _T, infer _E> ? G : never
export type Taken<K> = K extends ArtifactKind<string, infer _G, infer T, infer _E> ? T : never
export type Estimate<K> = K extends ArtifactKind<string, infer _G, infer _T, infer E> ? E : never
