/** Downloads in tests: a hurried clock, and what was reported. */
import { Effect, Layer } from "effect"
import { Progress } from "../../../core/api/progress.ts"
import type { Repository } from "../../../core/hub/address.ts"
import { download } from "../../../core/hub/download.ts"
import { hurried } from "./hurried.ts"

export const repository: Repository = { type: "model", id: "owner/name", revision: "main" }

export const bytes = (length: number, seed = 1): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 7 + (i >> 8)) % 256)

export type Report = readonly [done: number, total: number, note: string]

export const reporting = (reports: Report[]) =>
  Layer.succeed(Progress, {
    report: (done, total, note = "") => Effect.sync(() => void reports.push([done, total, note])),
  })

/**
 * @param reports receives what is reported
 * @param sleeps receives the pauses and time limits, ms
 */
export const downloading = (
  path: string,
  { from = repository, limit = 1e9, reports = [] as Report[], sleeps = [] as number[] } = {},
) => hurried(download(from, path, limit), sleeps).pipe(Effect.provide(reporting(reports)))

export const downloaded = (...wanted: Parameters<typeof downloading>): Promise<string> =>
  Effect.runPromise(downloading(...wanted))

/** The message with which a download fails. */
export const refusedDownload = async (...wanted: Parameters<typeof downloading>): Promise<string> =>
  (await Effect.runPromise(Effect.flip(downloading(...wanted)))).message
