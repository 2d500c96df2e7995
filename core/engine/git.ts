import { execFile } from "node:child_process"
import { Effect } from "effect"
import type { Commit } from "../api/provenance.ts"

/** The commit that a folder is at; null if it is not in a git repository, or there is no git. */
export const commitOf = (folder: string): Effect.Effect<Commit | null> =>
  Effect.gen(function* () {
    const hash = yield* git(folder, "rev-parse", "HEAD")
    const status = hash === undefined ? undefined : yield* git(folder, "status", "--porcelain", "--", ".")
    return hash === undefined || status === undefined
      ? null
      : { hash: hash.trim(), changed: status.trim() !== "" }
  })

/** What git prints; undefined if it fails. It takes no lock, so it disturbs nobody who works there. */
const git = (folder: string, ...args: readonly string[]): Effect.Effect<string | undefined> =>
  Effect.callback((resume) => {
    execFile("git", ["--no-optional-locks", "-C", folder, ...args], { maxBuffer: 2 ** 26 }, (error, stdout) =>
      resume(Effect.succeed(error === null ? stdout : undefined)),
    )
  })
