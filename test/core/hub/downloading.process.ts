/**
 * Downloads a file of `owner/name` in a process of its own, and prints its path.
 *
 * ```
 * bun downloading.process.ts PATH
 * ```
 */
import { Effect } from "effect"
import { download } from "../../../core/hub/download.ts"
import { type Report, reporting, repository } from "./downloading.ts"

const reports: Report[] = []
const path = await Effect.runPromise(
  download(repository, process.argv[2]!, 1e9).pipe(Effect.provide(reporting(reports))),
)
const waited = reports.some(([, , note]) => note.includes("another process downloads it"))
process.stdout.write(JSON.stringify({ path, waited }))
