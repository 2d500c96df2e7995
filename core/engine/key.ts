/** A unit's key: the digest of all that its artifact depends on, part by part, so that a plan can name what changed. */
import { canonicalJson, sha256 } from "../io/digest.ts"

/** What a unit's artifact depends on. JSON data: manifests keep it. */
export interface KeyParts {
  readonly plugin: { readonly name: string; readonly version: number }
  /** The digest of each source file that the unit runs, by its path relative to the project. */
  readonly sources: Readonly<Record<string, string>>
  /** The version of each package that those files import. */
  readonly packages: Readonly<Record<string, string>>
  readonly options: unknown
  /** The digest of each file that the unit reads, by its path. The paths themselves do not count. */
  readonly read: Readonly<Record<string, string>>
  /** The keys of the units that it takes, by input; of cohorts with their labels and seeds. */
  readonly inputs: Readonly<Record<string, unknown>>
  /** The key of the run that a probe watches. */
  readonly watched: string | null
  /** What computes, null if the unit does not compute with tensors: arithmetic, and sources as above. */
  readonly backend: {
    readonly arithmetic: string
    readonly sources: Readonly<Record<string, string>>
    readonly packages: Readonly<Record<string, string>>
  } | null
}

/** The key of a unit with these parts: SHA-256 in hexadecimal. */
export const keyOf = (parts: KeyParts): string =>
  sha256(canonicalJson({ ...parts, read: Object.values(parts.read) }))
