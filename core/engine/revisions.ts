/**
 * The repositories on the hub that units read. What they are identified by in keys is the commit that a branch or tag
 * stands for. A plan asks nobody: it takes what the cache knows. A run asks the hub first, and its workers are told.
 */
import { basename } from "node:path"
import { Effect } from "effect"
import { hubAddress } from "../hub/address.ts"
import { notAsked, resolveCommit } from "../hub/revision.ts"
import type { InvalidInput } from "../io/decode.ts"
import type { FileError } from "../io/files.ts"
import type { Graph } from "./graph.ts"

/** The commits of the repositories that units read, by their addresses. */
export type Revisions = Readonly<Record<string, string>>

const all = ({ units }: Graph): readonly (readonly [address: string, commit: string])[] =>
  units.flatMap(({ parts }) => Object.entries(parts.read)).filter(([path]) => hubAddress(path) !== null)

export const revisionsOf = (graph: Graph): Revisions =>
  Object.fromEntries(all(graph).filter(([, commit]) => commit !== notAsked))

/** Why a unit is made for which a repository was another commit before. */
export const commitReason = (address: string, now: string | undefined): string => {
  const name = basename(address)
  return now === undefined || now === notAsked
    ? `commit of ${name} not known here`
    : `${name} is now commit ${now.slice(0, 7)}`
}

/**
 * Asks the hub for the commits that are not known.
 *
 * @returns whether there were any: then the graph has to be made again
 * @throws FileError if the hub cannot be asked, or has no such repository or revision
 */
export const resolveRevisions = (graph: Graph): Effect.Effect<boolean, FileError | InvalidInput> => {
  const unknown = new Set(all(graph).flatMap(([address, commit]) => (commit === notAsked ? [address] : [])))
  return Effect.as(
    Effect.forEach(unknown, (address) => resolveCommit(hubAddress(address)!.repository), { discard: true }),
    unknown.size > 0,
  )
}
