/** What the store has for units, as plans take it. */
import { UnitFailure } from "../../api/failure.ts"
import type { KeyParts } from "../key.ts"
import type { Divergence, Failed, Manifest } from "./manifest.ts"
import type { Found } from "./record.ts"

/** What the store has for a unit. */
export type Stored =
  /** `damaged`: files are there that are not its own. */
  | { readonly status: "done"; readonly manifest: Manifest; readonly damaged?: string }
  | { readonly status: "diverged"; readonly failure: UnitFailure; readonly record: Divergence }
  /** `failed`: why it failed the last time, if it did. `damaged`: what is wrong with what is there, if something is. */
  | { readonly status: "absent"; readonly failed?: Failed; readonly damaged?: string }

/** An artifact or a divergence in the store, whatever pipeline it was made for. */
export interface Entry {
  readonly folder: string
  readonly record: Manifest | Divergence
  readonly parts: KeyParts
}

/** The record beside an artifact or a divergence. */
export const recordOf = (stored: Stored): Manifest | Divergence | undefined =>
  stored.status === "done" ? stored.manifest : stored.status === "diverged" ? stored.record : undefined

/** The keys that a record has had: its own, and those that it was accepted from. */
export const keysOfRecord = ({ key, accepted = [] }: Manifest | Divergence): readonly string[] => [
  key,
  ...accepted.map(({ from }) => from),
]

/** The same for what the store has for a unit; none if that is nothing. */
export const keysIn = (stored: Stored): readonly string[] => {
  const record = recordOf(stored)
  return record === undefined ? [] : keysOfRecord(record)
}

/** What `stored` gives for a record. */
export const storedAs = (record: Manifest | Divergence): Stored => {
  if ("files" in record) return { status: "done", manifest: record }
  const { reason, step } = record
  const failure = new UnitFailure({ outcome: "diverged", reason, ...(step === undefined ? {} : { step }) })
  return { status: "diverged", failure, record }
}

/** What is damaged in a folder; undefined if nothing is. */
export const damageOf = (inside: Found): string | undefined => {
  if (inside.status === "damaged") return inside.what
  if (inside.status !== "done" || inside.extra.length === 0) return undefined
  return `expected nothing but its files, found ${inside.extra.join(", ")}`
}

/** What the store has for a unit whose folder has this. */
export const storedFrom = (inside: Found): Stored => {
  const damaged = damageOf(inside)
  const damage = damaged === undefined ? {} : { damaged }
  if (inside.status === "done") return { status: "done", manifest: inside.record, ...damage }
  if (inside.status === "diverged") return storedAs(inside.record)
  if (inside.status === "failed") return { status: "absent", failed: inside.record }
  return { status: "absent", ...damage }
}
