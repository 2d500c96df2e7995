/** `kasosei work FOLDER LEVEL INDEX`: a task of a launch, as launchers with a queue start it; people do not. */
import { hostname } from "node:os"
import { basename, dirname, resolve } from "node:path"
import { Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import { readLaunch } from "../engine/launch.ts"
import { readLevels } from "../engine/launchers/levels.ts"
import { openLaunch } from "../engine/launchers/open.ts"
import { summaryOf } from "../engine/launchers/summary.ts"
import { runTask } from "../engine/launchers/task.ts"
import { publish } from "../engine/publish.ts"
import { beginWork } from "../engine/store/entrance.ts"
import { Owners } from "../engine/store/owners.ts"
import { Store } from "../engine/store/store.ts"
import { InvalidInput } from "../io/decode.ts"
import { plural, printable } from "../io/format.ts"
import { countFlag, durationFlag } from "./compute-flags.ts"
import { exitWith } from "./exit.ts"
import { endLines } from "./run-lines.ts"

const say = (line: string): void => {
  process.stderr.write(`${printable(line)}\n`)
}

const index = /^\d{1,9}$/

export const workCommand = Command.make(
  "work",
  {
    folder: Argument.String("folder").pipe(Argument.withDescription("The launch: OUT/launches/ID")),
    level: Argument.String("level").pipe(
      Argument.withDescription("The number of the task's level, or publish for the report"),
    ),
    task: Argument.String("task").pipe(
      Argument.withDescription("The task's number in its level"),
      Argument.optional,
    ),
    threads: countFlag("threads", "Threads that the task may use (default: 1)"),
    timeLimit: durationFlag("time-limit", "Stop a job that takes longer (default: none)"),
  },
  Effect.fn("work")(function* ({ folder, level, task, threads, timeLimit }) {
    const path = resolve(folder)
    const out = dirname(dirname(path))
    const launch = yield* readLaunch(out, basename(path))
    const command = `kasosei work ${path} ${level}`
    const publishes = Effect.gen(function* () {
      const began = performance.now()
      const { graph, given, publication } = yield* openLaunch(out, launch)
      const summary = yield* summaryOf(graph, given, launch.id)
      for (const line of endLines(summary, (performance.now() - began) / 1000)) say(line)
      if (summary.failures.some(({ kind }) => kind === "input"))
        say("what was damaged is set aside; the same command again makes it anew, and what needs it")
      const { pages, notes } = yield* Effect.catchTag(
        publish(publication, graph, summary),
        "NotPublished",
        (error) => exitWith(1, error.message),
      )
      for (const page of pages) say(`report: ${page}`)
      for (const note of notes) say(`note: ${note}`)
    })
    const works = Effect.gen(function* () {
      const job = yield* taskOf(
        yield* readLevels(out, launch.id),
        path,
        level,
        Option.getOrElse(task, () => ""),
      )
      const { label } = launch.units[launch.jobs[job]!.unit]!
      const count = Option.getOrElse(threads, () => 1)
      say(`${label}: on ${hostname()} with ${plural(count, "thread")}`)
      const { outcomes } = yield* runTask(launch, {
        out,
        job,
        threads: count,
        timeLimit: Option.getOrUndefined(timeLimit),
        onLog: say,
      }).pipe(Effect.onInterrupt(() => Effect.sync(() => say("stopped; its state is kept"))))
      const labels = new Map(launch.units.map(({ key, label }) => [key, label]))
      for (const outcome of outcomes) {
        const reason = outcome.status === "done" ? "" : `: ${outcome.reason}`
        say(`${outcome.status}: ${labels.get(outcome.key)}${reason}`)
      }
      if (outcomes.some(({ status }) => status === "failed")) return yield* exitWith(1)
    })
    yield* Effect.andThen(beginWork(say), level === "publish" ? publishes : works).pipe(
      Effect.scoped,
      Effect.provide([Store.layer(out), Owners.layer(out, { role: "supervisor", command })]),
    )
  }),
).pipe(Command.withDescription("Carry out one task of a launch"))

/** The job of the launch that a task is. */
const taskOf = (
  levels: readonly (readonly number[])[],
  path: string,
  level: string,
  task: string,
): Effect.Effect<number, InvalidInput> => {
  const tasks = index.test(level) ? levels[Number(level)] : undefined
  const job = index.test(task) ? tasks?.[Number(task)] : undefined
  if (job !== undefined) return Effect.succeed(job)
  const problem =
    tasks === undefined
      ? `expected a level from 0 to ${levels.length - 1}, or publish, found ${JSON.stringify(level)}`
      : `expected a task from 0 to ${tasks.length - 1}, found ${JSON.stringify(task)}`
  return Effect.fail(new InvalidInput({ what: path, problems: [problem] }))
}
