/** `bun run pipeline FILE`: plans a pipeline and runs the plan. */
import * as fs from "node:fs/promises"
import { availableParallelism } from "node:os"
import { resolve } from "node:path"
import { Effect, Option, Result } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { onDevice, together } from "../api/cost.ts"
import { sampleSeconds } from "../engine/accept.ts"
import { branchRequest, checkReached, openBranch, pipelinePrefix } from "../engine/branch.ts"
import { checkFiles } from "../engine/check-files.ts"
import { confoundersOf, confounderWarnings, designOf } from "../engine/design.ts"
import { backendNamed, declaredBackend } from "../engine/discover.ts"
import type { Summary } from "../engine/execute.ts"
import { commitOf } from "../engine/git.ts"
import type { Graph } from "../engine/graph.ts"
import { carryOutHealing, damagedLines, setAsideDamaged } from "../engine/heal.ts"
import { computingOf } from "../engine/key.ts"
import { findPipeline, loadPipeline, openPipeline } from "../engine/load.ts"
import { type EstimateSettings, type Plan, planOf } from "../engine/plan.ts"
import { checkReportFolder, type Publication, publish, reportFolder, summaryJson } from "../engine/publish.ts"
import { resolveRevisions } from "../engine/revisions.ts"
import { pipelineParameters } from "../engine/settings.ts"
import { DamagedArtifact } from "../engine/store/damage.ts"
import { beginWork } from "../engine/store/entrance.ts"
import { Owners } from "../engine/store/owners.ts"
import { freeFinished } from "../engine/store/scratch.ts"
import { Store } from "../engine/store/store.ts"
import type { Stored } from "../engine/store/stored.ts"
import { InvalidInput } from "../io/decode.ts"
import { attempt } from "../io/files.ts"
import { formatBytes, formatSeconds, quoted } from "../io/format.ts"
import { findProject, packageFolder } from "../io/project.ts"
import { type Backend, BackendUnavailable, checkPrecision } from "../tensor/backend.ts"
import { accepted } from "./accept.ts"
import { type CarryingOut, carryOutHere, carryOutQueued, submit } from "./carry-out.ts"
import { computeFlags, computeSettingsOf, countFlag, durationFlag, textFlag } from "./compute-flags.ts"
import { showing } from "./display.ts"
import { ExitCode, exitWith } from "./exit.ts"
import { chooseLauncher, launcherFlags } from "./launch.ts"
import { planJson } from "./plan-json.ts"
import { planLines } from "./plan-table.ts"
import { readablePath } from "./readable-path.ts"
import { endLines, hasFailed, startLines } from "./run-lines.ts"
import { screen } from "./terminal.ts"
import { wrapped } from "./text-width.ts"

const flags = {
  file: Argument.String("file").pipe(
    Argument.withDescription(
      "A pipeline file; a bare name is also looked up in pipelines/. With --help, lists its parameters",
    ),
  ),
  plan: Flag.Boolean("plan").pipe(
    Flag.withDescription("Show the units, which of them are done and what the rest will cost; run nothing"),
    Flag.withDefault(false),
  ),
  set: Flag.String("set").pipe(
    Flag.withMetavar("name=value"),
    Flag.withDescription(
      "Set a parameter to a number, text, a list (1e-5,2e-5) or a range (1..30); with --branch, an option of the run; may be repeated",
    ),
    Flag.atLeast(0),
  ),
  branch: textFlag("branch", "RUN@STEP").pipe(
    Flag.withDescription(
      `Instead of the pipeline, make one of its runs again with other options from this step on (--set lr=5e-4), and a report that compares both. RUN: a part of its label in the plan ("seed=2 lr=1e-3"), the start of its key, or its artifact's folder. Parameters of the pipeline are then --set ${pipelinePrefix}name=value`,
    ),
    Flag.optional,
  ),
  accept: Flag.String("accept").pipe(
    Flag.withMetavar("FILE|PLUGIN|PACKAGE"),
    Flag.withDescription(
      `Reuse what was made before this source, the sources of this plugin, or this package were edited, once a sample (of each plugin concerned at least one unit, more if they take less than ${formatSeconds(sampleSeconds)}) has been computed again and has the same bits; may be repeated`,
    ),
    Flag.atLeast(0),
  ),
  ...computeFlags,
  device: textFlag("device", "TEXT").pipe(
    Flag.withDescription(
      "What the backend computes with on the machines of the jobs, as `bun run doctor` prints it there, if this one has none (default: what is here)",
    ),
    Flag.optional,
  ),
  jobs: countFlag("jobs", "Jobs in parallel (default: one per core, as memory allows)"),
  ...launcherFlags,
  timeLimit: durationFlag(
    "time-limit",
    "Stop a job that takes longer, as Ctrl-C does; the next run resumes it (default: none)",
  ),
  out: textFlag("out", "DIR").pipe(
    Flag.withDescription("Folder for artifacts and reports (default: out)"),
    Flag.withDefault("out"),
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the plan or the summary as JSON on standard output"),
    Flag.withDefault(false),
  ),
}

/** The backend of `--device`, by its name alone: whether it can run here does not matter. */
const backendElsewhere = Effect.fnUntraced(function* (name: string) {
  const refused = (problem: string) => new InvalidInput({ what: "--device", problems: [problem] })
  if (name === "auto") return yield* refused("expected its backend too, as in --backend cuda")
  const backend = yield* declaredBackend(name)
  if (backend.model === undefined)
    return yield* refused(`no bit of ${name} depends on a device; leave it out`)
  return backend
})

/** The backend that computes here, and on the machines of the jobs. */
const backendHere = (name: string, launcher: string) =>
  Effect.catchTag(
    backendNamed(name),
    "BackendUnavailable",
    Effect.fnUntraced(function* (error) {
      const { model } = yield* declaredBackend(error.backend)
      if (launcher === "local" || model === undefined) return yield* error
      return yield* new BackendUnavailable({
        ...error,
        remedy: `${error.remedy}; to plan for the GPUs of other machines, give --device`,
      })
    }),
  )

export const pipelineCommand = Command.make(
  "pipeline",
  flags,
  Effect.fn("pipeline")(function* ({
    file,
    plan: planOnly,
    set,
    branch: branchText,
    accept,
    backend: backendName,
    threads,
    precision,
    device,
    jobs,
    launcher: launcherName,
    launcherSet,
    wait,
    timeLimit,
    out: outOption,
    json,
  }) {
    const command = commandLine(process.argv.slice(2))
    const out = resolve(outOption)
    const path = yield* findPipeline(file)
    const isOfPipeline = (assignment: string) =>
      Option.isNone(branchText) || assignment.startsWith(pipelinePrefix)
    const ofRun = set.filter((assignment) => !isOfPipeline(assignment))
    const branch = Option.isNone(branchText) ? undefined : yield* branchRequest(branchText.value, ofRun)
    const { definition, parameters, backend, model, arithmetic, graph, branched } = yield* showing(
      screen,
      `planning ${file} …`,
      Effect.gen(function* () {
        const definition = yield* loadPipeline(path)
        const parameters = yield* branch === undefined
          ? pipelineParameters(definition, set)
          : pipelineParameters(
              definition,
              set.filter(isOfPipeline).map((assignment) => assignment.slice(pipelinePrefix.length)),
              pipelinePrefix,
            )
        const backend = yield* Option.isSome(device)
          ? backendElsewhere(backendName)
          : backendHere(backendName, launcherName)
        yield* checkPrecision(backend, precision)
        const model = Option.getOrUndefined(device) ?? (yield* backend.model ?? Effect.undefined)
        const computing = computingOf(backend, precision, model)
        const open = openPipeline(path, definition, parameters, computing).pipe(
          Effect.mapError((error) => withAssignments(error, set)),
        )
        const planned = yield* open
        // What runs is of known commits; a plan asks nobody.
        const whole = !planOnly && (yield* resolveRevisions(planned)) ? yield* open : planned
        const branched =
          branch === undefined ? undefined : yield* openBranch(whole, definition, branch, computing)
        const graph = branched?.graph ?? whole
        return { definition, parameters, backend, model, arithmetic: computing.arithmetic, graph, branched }
      }),
    )
    const chosen = yield* chooseLauncher(
      { launcher: launcherName, launcherSet, jobs, threads },
      backend,
      largestMemory(graph, backend),
      !planOnly,
    )
    const { slots } = chosen
    const { queue } = chosen.launcher
    const { processes } = slots
    const ofSlot = slots.threads === undefined ? threads : Option.some(slots.threads)
    const computing = computeSettingsOf({ threads: ofSlot, precision })
    const name = branched === undefined ? definition.name : `${definition.name}/${branched.name}`
    const publication: Publication = {
      out,
      pipeline: definition.name,
      parameters: parameters as object,
      branch: branch && branched && { request: branch, name: branched.name },
      command,
    }
    yield* checkReportFolder(publication, graph, !planOnly)
    /** Whether a job has started, or is in a queue: but for `--accept`, what fails from then on is not input that is refused. */
    let hasWorked = false
    yield* Effect.gen(function* () {
      if (branch !== undefined && branched !== undefined) yield* checkReached(branched.run, branch)
      const told = new Set<string>()
      const tell = (line: string) => {
        if (!told.has(line)) process.stderr.write(`${line}\n`)
        told.add(line)
      }
      if (!planOnly) {
        yield* beginWork(tell)
        const owners = yield* Owners
        yield* owners.sweep
        // Workers that are killed leave something too; what cannot be removed now is left to the next command.
        yield* Effect.addFinalizer(() => Effect.ignore(owners.sweep))
        yield* (yield* Store).removeHalfWritten
      }
      const settings: EstimateSettings = {
        backend: arithmetic,
        processes,
        threads: (side) => (backend.setThreads === undefined ? 1 : computing(side).threads),
        ...(backend.secondsPerCall !== undefined && { device: { secondsPerCall: backend.secondsPerCall } }),
        flopsPerSecond: (side) => {
          const { threads } = computing(side)
          const machines = queue === undefined ? 1 : side
          return (
            backend.flopsPerSecond(threads, precision) *
            Math.min(1, (machines * availableParallelism()) / (side * threads))
          )
        },
      }
      const how: CarryingOut = {
        path,
        name,
        publication,
        branch,
        backend,
        precision,
        model,
        threads: Option.getOrUndefined(threads),
        timeLimit: Option.getOrUndefined(timeLimit),
        chosen,
        commit: planOnly ? null : yield* commitOf(findProject() ?? packageFolder),
        tell,
      }
      const onBegun = () => {
        hasWorked = true
      }
      const carryOut = (plan: Plan, folder: string) => carryOutHere(how, plan, folder, onBegun)
      /** Plans, once what is damaged is set aside; a plan alone leaves everything where it is. */
      const planning = Effect.fnUntraced(function* (adopted?: ReadonlyMap<string, Stored>) {
        const plan = yield* planOf(graph, settings, adopted)
        for (const line of planOnly ? damagedLines(plan) : yield* setAsideDamaged(plan)) tell(line)
        return plan
      })
      const adopted =
        accept.length === 0
          ? undefined
          : yield* accepted(accept, yield* planning(), settings, planOnly ? undefined : carryOut)
      const plan = yield* planning(adopted)
      yield* showing(screen, "checking the files that it reads …", checkFiles(plan))
      if (planOnly) {
        const width = process.stdout.isTTY ? process.stdout.columns || 80 : Number.POSITIVE_INFINITY
        const design = yield* designOf(graph)
        const folder = reportFolder(publication)
        process.stdout.write(
          json
            ? `${planJson(plan, design, folder)}\n`
            : `${[...planLines(name, plan, design, width), "", `The report will be in ${readablePath(folder)}`].join("\n")}\n`,
        )
        return
      }
      yield* checkDisk(out, plan)
      const instructions =
        plan.jobs.length === 0
          ? undefined
          : (Option.getOrUndefined(device) ?? (yield* backend.instructions ?? Effect.succeed(undefined)))
      const lines = startLines(name, plan, {
        backend: backend.name,
        instructions,
        precision,
        threads: backend.setThreads === undefined ? undefined : settings.threads(plan.estimate.processes),
        out: outOption,
      })
      const warnings = plan.jobs.length === 0 ? [] : confounderWarnings(yield* confoundersOf(graph))
      const columns = process.stderr.isTTY ? process.stderr.columns || 80 : Number.POSITIVE_INFINITY
      process.stderr.write(
        `${[...lines, ...warnings].flatMap((line) => wrapped(line, columns)).join("\n")}\n`,
      )
      if (queue !== undefined && plan.jobs.length > 0 && !wait) {
        yield* submit(how, plan, queue, json ? "json" : "lines")
        return
      }
      const began = performance.now()
      const { summary, published } = yield* carryOutHealing(
        plan,
        planning(),
        (next) =>
          queue === undefined || next.jobs.length === 0
            ? carryOut(next, out)
            : carryOutQueued(how, next, queue, json ? "none" : "lines", onBegun),
        (_, summary) =>
          Effect.flatMap(Effect.result(publish(publication, graph, summary)), (result) =>
            Result.isFailure(result) && result.failure.cause instanceof DamagedArtifact
              ? Effect.fail(result.failure.cause)
              : Effect.succeed(result),
          ),
        tell,
      )
      // Who was killed before it freed it, or goes on as another job, with fewer units, has left that.
      const lost = new Set(summary.failures.map(({ unit }) => unit.key))
      const ended = new Set(graph.units.map(({ key }) => key).filter((key) => !lost.has(key)))
      yield* Effect.ignore(freeFinished(out, (key) => ended.has(key)))
      const { pages, notes } = Result.getOrElse(published, () => ({ pages: [], notes: [] }))
      report(summary, pages, (performance.now() - began) / 1000, json)
      for (const note of notes) process.stderr.write(`note: ${note}\n`)
      if (Result.isFailure(published)) return yield* exitWith(1, published.failure.message)
      if (hasFailed(plan, summary)) return yield* exitWith(1)
    }).pipe(
      Effect.mapError((error) =>
        hasWorked && !(error instanceof InvalidInput || error instanceof ExitCode)
          ? new ExitCode({ code: 1, message: error.message })
          : error,
      ),
      Effect.scoped,
      Effect.provide([Store.layer(out), Owners.layer(out, { role: "supervisor", command })]),
    )
  }),
).pipe(
  Command.withDescription("Run a pipeline, reusing what is finished already"),
  Command.withExamples([
    { command: "bun run pipeline quickstart.ts", description: "The whole study at toy scale" },
    {
      command: "bun run pipeline quickstart.ts --accept adamw.ts",
      description: "The same after an edit of adamw.ts that changes no result",
    },
    {
      command: "bun run pipeline quickstart.ts --branch 'arm=vanilla lr=1e-3 seed=2@50' --set lr=5e-4",
      description: "What one of its runs would have been with half the learning rate from step 50 on",
    },
    {
      command: "bun run pipeline paper.ts --plan --set seeds=1..5 --set lr=1e-5,2e-5",
      description: "The cost of a part of the paper's study",
    },
  ]),
)

/** The memory of the largest job, bytes: of a run and its probes the largest, and the copies of one of them. */
const largestMemory = ({ units }: Graph, { secondsPerCall }: Backend): number => {
  const costs = units.map(({ cost }) => cost)
  return (secondsPerCall === undefined ? together(costs) : onDevice(together(costs))).memory
}

/** A command line that does the same, quoted as a shell takes it. */
const commandLine = (args: readonly string[]): string =>
  // `bun run` sets this; its scripts have the names of the commands.
  [...(process.env["npm_lifecycle_event"] === undefined ? ["kasosei"] : ["bun", "run"]), ...args]
    .map(quoted)
    .join(" ")

/** Adds the assignments to an error: it names the plugin's option, not the parameter that the option came from. */
const withAssignments = <E>(error: E, assignments: readonly string[]): E | InvalidInput =>
  error instanceof InvalidInput && assignments.length > 0
    ? new InvalidInput({
        what: `${error.what} (with ${assignments.map((assignment) => `--set ${assignment}`).join(" ")})`,
        problems: error.problems,
      })
    : error

/** Warns before the start if the disk seems too small; the estimate may be wrong, so it is only a warning. */
const checkDisk = Effect.fnUntraced(function* (out: string, plan: Plan) {
  const { bavail, bsize } = yield* attempt("find the free space of", out, () => fs.statfs(out))
  const needed = plan.estimate.disk + plan.estimate.scratch
  if (needed > bavail * bsize) {
    process.stderr.write(
      `warning: this plan needs about ${formatBytes(needed)} in ${out}, but only ${formatBytes(bavail * bsize)} is free\n`,
    )
  }
})

const report = (summary: Summary, pages: readonly string[], seconds: number, json: boolean) => {
  process.stderr.write(`${endLines(summary, seconds).join("\n")}\n`)
  if (json) process.stdout.write(`${JSON.stringify({ ...summaryJson(summary), pages, seconds }, null, 1)}\n`)
  else for (const page of pages) process.stdout.write(`report: ${readablePath(page)}\n`)
}
