/** `--launcher`: where the jobs of a plan run, and what is said of those that were put into a queue. */
import { availableParallelism } from "node:os"
import { Effect, Option } from "effect"
import { Flag } from "effect/cli"
import type { Queue, Submitted } from "../api/launcher.ts"
import { launcherNamed } from "../engine/discover.ts"
import type { Launch } from "../engine/launch.ts"
import { type Follower, followQueue } from "../engine/launchers/follow.ts"
import { type ChosenLauncher, stillQueued } from "../engine/launchers/submission.ts"
import type { Plan } from "../engine/plan.ts"
import { settings } from "../engine/settings.ts"
import { Leases } from "../engine/store/leases.ts"
import { memoryLimit } from "../engine/workers/memory.ts"
import { plural } from "../io/format.ts"
import type { Backend } from "../tensor/backend.ts"
import { textFlag } from "./compute-flags.ts"
import { Display } from "./display.ts"
import { exitWith } from "./exit.ts"
import { screen } from "./terminal.ts"

export const launcherFlags = {
  launcher: textFlag("launcher", "NAME").pipe(
    Flag.withDescription(
      "Where jobs run: local, on this machine, or slurm, in the queue of a cluster (default: local); `bun run plugins NAME` lists its options",
    ),
    Flag.withDefault("local"),
  ),
  launcherSet: Flag.String("launcher-set").pipe(
    Flag.withMetavar("name=value"),
    Flag.withDescription("Set an option of the launcher, such as partition=gpu; may be repeated"),
    Flag.atLeast(0),
  ),
  wait: Flag.Boolean("wait").pipe(
    Flag.withDescription(
      "With a launcher that has a queue, stay and show the progress; Ctrl-C leaves the jobs there",
    ),
    Flag.withDefault(false),
  ),
}

/** What decides where jobs run, and how many at a time. */
export interface LaunchFlags {
  readonly launcher: string
  readonly launcherSet: readonly string[]
  readonly jobs: Option.Option<number>
  readonly threads: Option.Option<number>
}

/**
 * The launcher that was asked for.
 *
 * @param memory of the largest job, bytes
 * @param isUsed whether something is to run: only then it must be able to
 * @throws LauncherUnavailable
 */
export const chooseLauncher = Effect.fn("chooseLauncher")(function* (
  { launcher: name, launcherSet, jobs, threads }: LaunchFlags,
  { device }: Backend,
  memory: number,
  isUsed: boolean,
) {
  const launcher = yield* launcherNamed(name)
  const what = `the launcher ${name}`
  const options = yield* settings(
    { what, kind: "option", schema: launcher.options, flag: "--launcher-set" },
    launcherSet,
  )
  if (isUsed) yield* launcher.check
  const slots = yield* launcher.slots(options, {
    jobs: Option.getOrUndefined(jobs),
    threads: Option.getOrUndefined(threads),
    memory,
    device,
    here: { cores: availableParallelism(), memory: memoryLimit().bytes },
  })
  return { launcher, options, slots } satisfies ChosenLauncher
})

/** Refuses to queue for a second time what is in the queue already: its tasks would only wait for the first ones. */
export const checkNotQueued = Effect.fn("checkNotQueued")(function* (
  queue: Queue,
  out: string,
  report: string,
  onLog: (line: string) => void,
) {
  const [queued] = yield* stillQueued(queue, out, report, onLog)
  if (queued === undefined) return
  const { launch, unfinished, cancel } = queued
  return yield* exitWith(
    2,
    `${plural(unfinished.length, "job")} of the launch ${launch} for the same report ${unfinished.length === 1 ? "is" : "are"} still in the queue (${unfinished.join(", ")}); wait until they have ended, or run ${cancel}, and start again: then only what is missing is submitted`,
  )
})

/** What has been submitted of a launch. */
export interface InQueue extends Submitted {
  readonly launch: string
}

/** In what form the ids of jobs go to standard output; a summary in JSON is alone there. */
export type IdsForm = "lines" | "json" | "none"

/** Says what is in the queue. */
export const tellSubmitted = (launch: Launch, { jobs, cancel }: Submitted, ids: IdsForm): void => {
  process.stderr.write(
    `launch ${launch.id}: ${plural(launch.jobs.length, "task")} and the report, submitted as ${plural(jobs.length, "job")} ${jobs.join(" ")}\nto cancel them: ${cancel}\n`,
  )
  if (ids === "json")
    process.stdout.write(`${JSON.stringify({ launch: launch.id, jobs, cancel }, null, 1)}\n`)
  if (ids === "lines") for (const job of jobs) process.stdout.write(`${job}\n`)
}

/** Shows the progress of what was submitted, until nothing of it is in the queue any more. */
export const followSubmitted = Effect.fn("followSubmitted")(function* (
  queue: Queue,
  plan: Plan,
  follower: Follower,
  { launch, jobs, cancel }: InQueue,
  out: string,
) {
  const display = new Display(plan, screen)
  const { onEvent, log: onLog } = display
  return yield* followQueue(queue, plan, follower, { launch, jobs, onEvent, onLog }).pipe(
    Effect.provide(Leases.layer(out)),
    Effect.ensuring(Effect.sync(display.close)),
    Effect.onInterrupt(() =>
      Effect.sync(() =>
        process.stderr.write(`nobody waits any more, but the jobs go on; to cancel them: ${cancel}\n`),
      ),
    ),
  )
})
