/** What the store records beside an artifact, sealed (`seal.ts`): what it is, what its key covers, how it was made. */
import { type } from "arktype"
import { MadeBy } from "../../api/provenance.ts"
import { failureKinds } from "../messages.ts"

const Digest = type("string == 64")

/** The sources and packages of many artifacts are the same, so they are in a file of their own, named by its digest. */
export const Code = type({
  "+": "reject",
  /** The digest of each source file, by its path relative to the project. */
  sources: "Record<string, string>",
  /** The version of each package. */
  packages: "Record<string, string>",
})
export type Code = typeof Code.infer

/** Those parts of a key that a record does not have elsewhere. */
const Parts = type({
  "+": "reject",
  /** The digest of a `Code`. */
  code: Digest,
  read: "Record<string, string>",
  inputs: "Record<string, unknown>",
  watched: "string | null",
  backend: type({ "+": "reject", arithmetic: "string", code: Digest }).or("null"),
})
export type Parts = typeof Parts.infer

/** That an artifact was taken over from another key, because the code between them computes the same. */
const Acceptance = type({
  "+": "reject",
  /** The key under which it was made, or accepted before. */
  from: Digest,
  /** The sources and packages that differ between the two keys. */
  changed: "string[]",
  when: "string",
  /** The keys of the units that were computed again and had the same bits. */
  compared: Digest.array(),
})
export type Acceptance = typeof Acceptance.infer

const described = {
  "+": "reject",
  key: Digest,
  plugin: "string",
  version: "number",
  label: "string",
  options: "Record<string, unknown>",
  parts: Parts,
  /** The units that it takes, by the name of the input; the run that a probe watches is one of them. */
  inputs: type({ "+": "reject", name: "string", key: Digest, label: "string" }).array(),
  made: "string",
  madeBy: MadeBy,
  "accepted?": Acceptance.array(),
} as const

/** `manifest.json` of a finished artifact. */
export const Manifest = type({
  ...described,
  /** The backend that computed it; null if none was needed. */
  backend: "string | null",
  /** Keys of the cohort members that were missing when it was made, because their runs diverged or failed. */
  missing: "string[]",
  seconds: "number >= 0",
  flops: "number >= 0",
  files: type({
    "+": "reject",
    path: "string",
    bytes: "number.integer >= 0",
    sha256: Digest,
  }).array(),
  /** Over the paths and digests of all files: equal artifacts have equal digests. */
  digest: Digest,
})
export type Manifest = typeof Manifest.infer

/** `divergence.json` of a run that diverged. */
export const Divergence = type({
  ...described,
  reason: "string",
  "step?": "number.integer >= 0",
  seconds: "number >= 0",
})
export type Divergence = typeof Divergence.infer

/** `failure.json` of a unit that failed. It is made again, so this only says why it is not there yet. */
export const Failed = type({
  "+": "reject",
  key: Digest,
  plugin: "string",
  label: "string",
  inputs: described.inputs,
  made: "string",
  kind: type.enumerated(...failureKinds),
  reason: "string",
  /** The launch, if a task from a queue failed. */
  "launch?": "string",
})
export type Failed = typeof Failed.infer
