/**
 * What is tried again: a job whose worker process was killed, after a pause; one whose process was killed because memory
 * ran out, once more with no other job beside it. What a plugin says is final.
 */
import { Duration, Effect, Schedule } from "effect"
import { formatBytes, formatSeconds, plural } from "../../io/format.ts"
import type { UnitOutcome } from "../job.ts"
import type { FailureKind } from "../messages.ts"
import { type Job, keysGivenBy } from "../plan.ts"
import type { MemoryLimit } from "./memory.ts"
import type { WorkerLost } from "./worker-process.ts"

/** After 1, 2 and 4 s. */
const backoff = Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 3 }))

export interface RetrySettings {
  readonly processes: number
  readonly limit: MemoryLimit
  readonly onLog: (line: string) => void
}

/** All units of a job, failed for one reason. */
export const allFailed = (job: Job, kind: FailureKind, reason: string): readonly UnitOutcome[] =>
  keysGivenBy(job).map((key) => ({ key, status: "failed", kind, reason }))

/**
 * The outcomes of a job, however often it takes.
 *
 * @param attempt at the job, beside others or alone
 */
export const retrying = <A>(
  job: Job,
  attempt: (alone: boolean) => Effect.Effect<A, WorkerLost>,
  { processes, limit, onLog }: RetrySettings,
): Effect.Effect<A | readonly UnitOutcome[]> => {
  const lost: WorkerLost[] = []
  const tell = (error: WorkerLost, next: string) =>
    Effect.sync(() =>
      onLog(`${job.unit.label}: ${error.reason}${memoryText(error)}; it is tried again ${next}`),
    )

  const patiently = (alone: boolean) =>
    attempt(alone).pipe(
      Effect.tapError((error) => Effect.sync(() => lost.push(error))),
      Effect.retry(($) =>
        $(backoff).pipe(
          Schedule.while(({ input }) => input.kind === "lost"),
          Schedule.tap(({ input, duration }) =>
            tell(input, `in ${formatSeconds(Duration.toSeconds(duration))}`),
          ),
        ),
      ),
    )

  /** What a job that ran out of memory used, was expected to use, and has. */
  const memoryText = ({ kind, peakMemory }: WorkerLost): string => {
    if (kind !== "memory") return ""
    const used = peakMemory === undefined ? "" : `it used at least ${formatBytes(peakMemory)}, `
    return ` (${used}the plan estimates ${formatBytes(job.cost.memory)}, and the memory ${limit.by} is ${formatBytes(limit.bytes)} for ${plural(processes, "job")})`
  }

  const final = (error: WorkerLost) => {
    const reason =
      error.kind === "memory"
        ? `${error.reason}${memoryText(error)}, also with no other job beside it. Use a machine with more memory, or options that need less`
        : attemptsText(lost)
    return allFailed(job, error.kind, reason + outputText(error))
  }

  return patiently(false).pipe(
    Effect.catchIf(
      ({ kind }) => kind === "memory",
      (error) => Effect.andThen(tell(error, "with no other job beside it"), patiently(true)),
    ),
    Effect.catch((error) => Effect.succeed(final(error))),
  )
}

/** How attempts ended that were all in vain. */
const attemptsText = (lost: readonly WorkerLost[]): string => {
  const [first, ...others] = lost.map(({ reason }) => reason)
  if (others.length === 0) return first!
  if (others.every((reason) => reason === first)) return `in each of ${lost.length} attempts, ${first}`
  return `${lost.length} attempts failed: ${[first, ...others].join("; then ")}`
}

const outputText = ({ output }: WorkerLost): string =>
  output.length === 0 ? "" : `; its last output:\n${output.join("\n")}`
