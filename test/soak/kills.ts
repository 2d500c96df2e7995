/**
 * bun test/soak/kills.ts [COUNT] [STUDY] [SEED]
 *
 * Runs a study (`sample` by default, or `quickstart`, very small), and at COUNT random moments (50 by default) kills a
 * worker, all workers, the supervisor or all of them with SIGKILL, hangs up on the supervisor with SIGHUP, suspends a
 * worker for a while with SIGSTOP, or closes its terminal; then gives the same command again, at once or once all are
 * gone, until the study ends, and begins another. Each has to have the bytes of an undisturbed study, nothing finished
 * twice, and nothing left in tmp, leases, owners and scratch. Then, with `sample`, a worker is suspended for good once for
 * every 25 of these, in a copy of the project that waits 20 s for it, not 5 minutes. Prints each disturbance, every fault, and figures; the exit code
 * is 1 if there was a fault.
 *
 * 50 moments take 5 minutes on 2 idle cores with `sample`, 10 with `quickstart`.
 */
import { rmSync } from "node:fs"
import { join } from "node:path"
import {
  alive,
  childrenOf,
  type Ended,
  main,
  type Running,
  start,
  untilEnded,
} from "../core/cli/command-line.ts"
import { copyProject } from "../project-copy.ts"
import {
  Draws,
  edit,
  Findings,
  faultsOf,
  madeAgain,
  madeIn,
  studyNamed,
  temporaryFolder,
  undisturbed,
  untilLine,
} from "./study.ts"

const [, , countText = "50", name = "sample", seedText = "1"] = process.argv
const count = Number(countText)
const draws = new Draws(Number(seedText), "kills")
const study = studyNamed(name)
const findings = new Findings()
const root = temporaryFolder("kills")

/** A command whose terminal can be closed. */
const startInTerminal = (
  args: readonly string[],
): Pick<Running, "pid" | "leave" | "shown"> & {
  readonly ended: Promise<Pick<Ended, "code" | "stderr">>
} => {
  let shown = ""
  const data = (_: unknown, bytes: Uint8Array) => {
    shown += new TextDecoder().decode(bytes)
  }
  const child = Bun.spawn([process.execPath, main, ...args], { terminal: { cols: 80, rows: 24, data } })
  return {
    pid: child.pid,
    leave: () => child.terminal!.close(),
    shown: () => shown,
    ended: child.exited.then((code) => ({ code: child.signalCode === null ? code : null, stderr: shown })),
  }
}

const kill = (pids: readonly number[], signal: NodeJS.Signals) => {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // It has just ended.
    }
  }
}

/** Each as often as it is named. */
const disturbances = [
  ...["worker", "worker", "workers", "supervisor", "supervisor", "all", "all"],
  ...["hang up", "suspend", "terminal"],
] as const

const whole = await undisturbed(study, join(root, "whole"))
console.log(`undisturbed: ${Object.keys(whole.bytes).length} files in ${whole.seconds.toFixed(1)} s`)

const times = new Map<string, number>()
const began = performance.now()
let disturbed = 0
let studies = 0
let commands = 0
while (disturbed < count) {
  const out = join(root, `${++studies}`)
  let finished: ReadonlyMap<string, string> = new Map()
  while (true) {
    commands++
    const how = disturbed < count ? draws.of(disturbances) : undefined
    const run = how === "terminal" ? startInTerminal(study.args(out)) : start(study.args(out))
    const ended = run.ended.then(({ code, stderr }) => ({ code, stderr }))
    const lines = draws.below(study.lines)
    const later = draws.below(1500)
    let workers: readonly number[] = []
    let early = true
    if (how !== undefined) {
      await untilLine(run, lines)
      early = await Promise.race([ended.then(() => true), Bun.sleep(later).then(() => false)])
      if (!early) {
        workers = childrenOf(run.pid)
        const one = workers.length === 0 ? [] : [draws.of(workers)]
        if (how === "worker") kill(one, "SIGKILL")
        if (how === "workers") kill(workers, "SIGKILL")
        if (how === "supervisor") kill([run.pid], "SIGKILL")
        if (how === "all") kill([run.pid, ...workers], "SIGKILL")
        if (how === "hang up") kill([run.pid], "SIGHUP")
        if (how === "terminal") run.leave()
        if (how === "suspend") {
          kill(one, "SIGSTOP")
          await Bun.sleep(draws.below(5000))
          kill(one, "SIGCONT")
        }
        disturbed++
        times.set(how, (times.get(how) ?? 0) + 1)
      }
    }
    const { code, stderr } = await ended
    // As often as not, the next command finds workers that still save their state.
    const waits = draws.below(2) === 0
    if (waits) await untilEnded(workers)
    const now = madeIn(out)
    const faults = [...madeAgain(finished, now)]
    finished = now
    const survives = early || how === undefined || ["worker", "workers", "suspend"].includes(how)
    if (survives && code !== 0) faults.push(`exit code ${code}: ${stderr}`)
    if (how === "hang up" || how === "terminal") {
      if (alive(workers).length > 0) faults.push(`${alive(workers).length} workers outlive the supervisor`)
      // Before it has begun, it ends by the signal.
      if (code !== 0 && code !== 129 && workers.length > 0)
        faults.push(`exit code ${code}, expected 129: ${stderr}`)
    }
    const what = early ? "undisturbed" : `${how} ${(later / 1000).toFixed(2)} s after line ${lines}`
    findings.add(`study ${studies}: ${what}, ${now.size} artifacts, exit code ${code}`, faults)
    if (code !== 0) continue
    await untilEnded(workers)
    findings.add(`study ${studies} has ended`, faultsOf(out, study, whole.bytes))
    break
  }
  rmSync(out, { recursive: true })
}

/** How often a worker is suspended for good. */
const suspended = name === "sample" ? Math.ceil(count / 25) : 0
const copy = await copyProject()
edit(copy, "core/engine/workers/watchdog.ts", "longestSilence = 300", "longestSilence = 20")
for (let time = 1; time <= suspended; time++) {
  const out = join(root, `suspended-${time}`)
  const run = start(study.args(out, copy), copy)
  const line = 10 + draws.below(study.lines / 2)
  await untilLine(run, line)
  kill([draws.of(childrenOf(run.pid))], "SIGSTOP")
  const { code, stderr } = await run.ended
  const faults = code === 0 ? faultsOf(out, study, whole.bytes) : [`exit code ${code}: ${stderr}`]
  findings.add(`a worker is suspended for good after line ${line}`, faults)
}
rmSync(copy, { recursive: true })
rmSync(root, { recursive: true })
const each = [...times].map(([how, number]) => `${how} ${number}`).join(", ")
findings.end(
  `${disturbed} disturbances (${each}) of ${studies} studies in ${commands} commands, ${suspended} workers suspended for good, ${((performance.now() - began) / 1000).toFixed(0)} s`,
)
