/** A unit's key: the digest of all that its artifact depends on, part by part, so that a plan can name what changed. */
import { Effect } from "effect"
import type { Precision } from "../api/precision.ts"
import { canonicalJson, sha256 } from "../io/digest.ts"
import { arithmeticOf, type Backend, type BackendUnavailable } from "../tensor/backend.ts"
import { type Sources, sourcesOf } from "./source-digest.ts"

/** What computes: the arithmetic, and the code that does it. */
export interface Computing extends Sources {
  /** By `arithmeticOf`. */
  readonly arithmetic: string
}

/**
 * How a backend computes in a precision.
 *
 * @param model what decides its bits on this machine, if something does
 */
export const computingOf = (backend: Backend, precision: Precision, model?: string): Computing => ({
  arithmetic: arithmeticOf(backend.name, precision, model),
  ...sourcesOf([backend.module], backend.sources),
})

/** How a backend computes on this machine. @throws BackendUnavailable if it cannot run here */
export const computingHere = (
  backend: Backend,
  precision: Precision,
): Effect.Effect<Computing, BackendUnavailable> =>
  Effect.map(backend.model ?? Effect.undefined, (model) => computingOf(backend, precision, model))

/** What a unit's artifact depends on. JSON data: manifests keep it. */
export interface KeyParts extends Sources {
  readonly plugin: { readonly name: string; readonly version: number }
  readonly options: unknown
  /** The digest of each file that the unit reads, by its path. The paths themselves do not count. */
  readonly read: Readonly<Record<string, string>>
  /** The keys of the units that it takes, by input; of cohorts with their labels and seeds. */
  readonly inputs: Readonly<Record<string, unknown>>
  /** The key of the run that a probe watches. */
  readonly watched: string | null
  /** What computes; null if the unit does not compute with tensors. */
  readonly backend: Computing | null
}

const digests = new WeakMap<object, string>()

/** The digest of a part that many units share, made once. */
const digestOf = (part: object): string => {
  const known = digests.get(part)
  if (known !== undefined) return known
  const digest = sha256(canonicalJson(part))
  digests.set(part, digest)
  return digest
}

/** The key of a unit with these parts: SHA-256 in hexadecimal. */
export const keyOf = (parts: KeyParts): string =>
  sha256(
    canonicalJson({
      ...parts,
      sources: digestOf(parts.sources),
      packages: digestOf(parts.packages),
      read: Object.values(parts.read),
      backend: parts.backend === null ? null : digestOf(parts.backend),
    }),
  )
