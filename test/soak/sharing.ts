/**
 * bun test/soak/sharing.ts [ROUNDS] [SEED]
 *
 * Several supervisors at work on one store, in each of ROUNDS rounds (3 by default) in all of these ways, with two or
 * three at once:
 *
 * - side by side, also with clocks that jump by days twice a second;
 * - one of them killed with all its workers at a random moment;
 * - each in a container, with process 1, host name, network and mounts of its own; one container killed, and another one
 *   begun in its place;
 * - each on a host of its own, as far as it can tell: a copy of the project sees another boot id, and takes who is silent
 *   for 20 s for gone, not 3 minutes; with shared locks, without any, and with clocks that jump; one of them killed.
 *
 * Whoever is left has to end with the bytes of an undisturbed study, nothing finished twice, and nothing left in tmp,
 * leases, owners and scratch. The containers take a user who may make namespaces, such as root.
 *
 * A round takes 2 minutes on 2 idle cores.
 */
import { spawnSync } from "node:child_process"
import { rmSync } from "node:fs"
import { join } from "node:path"
import {
  type Around,
  childrenOf,
  type Ended,
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
  leftBehind,
  leftIn,
  madeIn,
  sampleStudy,
  temporaryFolder,
  undisturbed,
  untilLine,
} from "./study.ts"

const [, , roundsText = "3", seedText = "1"] = process.argv
const rounds = Number(roundsText)
const draws = new Draws(Number(seedText), "sharing")
const study = sampleStudy()
const findings = new Findings()
const root = temporaryFolder("sharing")

const jumping: Around = { env: { BUN_OPTIONS: `--preload ${join(import.meta.dir, "jumping-clock.ts")}` } }

/** A container with this host name. `--kill-child`: when unshare is killed, so is all that is in it. */
const container = (host: string): Around => ({
  wrapper: [
    ...["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts", "--net", "--ipc"],
    ...["sh", "-c", 'hostname "$0" && exec "$@"', host],
  ],
})
const [unshare, ...options] = container("node1").wrapper!
const hasContainers = spawnSync(unshare!, [...options, "true"]).status === 0

/** A copy of the project that takes this machine for another host. */
const host = async (boot: string, locks: boolean) => {
  const folder = await copyProject()
  const owners = "core/engine/store/owners.ts"
  edit(folder, owners, "const boot = bootHere()", `const boot = bootHere() && "${boot}"`)
  edit(folder, owners, "every: 10_000, goneAfter: 180_000", "every: 1_000, goneAfter: 20_000")
  if (!locks) edit(folder, owners, 'tryLock(fd, "exclusive") === "locked"', "false")
  return folder
}

/** One of several supervisors. */
interface Member {
  readonly around?: Around
  /** The folder of its project. */
  readonly folder?: string
}

const launch = (out: string, { around, folder }: Member): Running =>
  start(study.args(out, folder), folder, around)

/** Everything below a process. */
const below = (pid: number): readonly number[] => childrenOf(pid).flatMap((child) => [child, ...below(child)])

const whole = await undisturbed(study, join(root, "whole"))
console.log(`undisturbed: ${Object.keys(whole.bytes).length} files in ${whole.seconds.toFixed(1)} s`)

/** Settings of a study that takes longer than a host may be silent. */
const longer = { lr: 3, seeds: 1, slow: 2000 }

let stores = 0
let made = 0
let taken = 0

const madeBy = ({ stderr }: Pick<Ended, "stderr">) => Number(/(\d+) units? made/.exec(stderr)?.[1] ?? 0)

/** Waits for a random moment. @returns whether the command has not ended by then */
const untilMoment = async (running: Running): Promise<boolean> => {
  await untilLine(running, draws.below(study.lines))
  return await Promise.race([running.ended.then(() => false), Bun.sleep(draws.below(1500)).then(() => true)])
}

/** All at once; the first is killed if `vanishes`, and started again if `restarts`. */
const together = async (
  what: string,
  members: readonly Member[],
  fate: "stays" | "vanishes" | "restarts" = "stays",
) => {
  const out = join(root, `${++stores}`)
  const running = members.map((member) => launch(out, member))
  const faults: string[] = []
  let counted = running
  let note = ""
  if (fate !== "stays") {
    const [victim, ...others] = running as [Running, ...Running[]]
    if (await untilMoment(victim)) {
      const before = madeIn(out)
      const family = below(victim.pid)
      for (const pid of [victim.pid, ...family]) {
        try {
          process.kill(pid, "SIGKILL")
        } catch {
          // It was in a container that has just been killed.
        }
      }
      await untilEnded(family)
      note = `, killed with ${before.size} artifacts made`
      taken++
      counted = fate === "restarts" ? [...others, launch(out, members[0]!)] : others
    }
  }
  const ended = await Promise.all(counted.map((each) => each.ended))
  for (const { code, stderr } of ended) if (code !== 0) faults.push(`exit code ${code}: ${stderr}`)
  const shares = ended.map(madeBy)
  const total = shares.reduce((sum, share) => sum + share, 0)
  if (fate === "stays" && total !== whole.units) faults.push(`${whole.units} units made ${total} times`)
  made += total
  const found = faultsOf(out, study, whole.bytes)
  const [, watcher] = members
  if (fate === "vanishes" && watcher?.folder !== undefined) {
    // Only a process that has watched another host for long enough removes what it has left.
    const { code, stderr } = await start(study.args(out, watcher.folder, longer), watcher.folder).ended
    if (code !== 0) faults.push(`exit code ${code}: ${stderr}`)
    const left = leftIn(out).map((path) => `${leftBehind} ${path}`)
    faults.push(...found.filter((fault) => !fault.startsWith(leftBehind)), ...left)
  } else faults.push(...found)
  findings.add(`${what}: made ${shares.join(" + ")}${note}`, faults)
  rmSync(out, { recursive: true })
}

const began = performance.now()
const hosts = await Promise.all(["a", "b"].map((boot) => host(boot, true)))
const lockless = await Promise.all(["c", "d"].map((boot) => host(boot, false)))
const on = (folders: readonly string[], around: Around = {}) => folders.map((folder) => ({ folder, around }))
for (let round = 1; round <= rounds; round++) {
  await together("two", [{}, {}])
  await together("three", [{}, {}, {}])
  await together("two whose clocks jump", [{ around: jumping }, { around: jumping }])
  await together("two, one of which vanishes", [{}, {}], "vanishes")
  await together("three, one of which vanishes", [{}, {}, {}], "vanishes")
  if (hasContainers) {
    const containers = ["node1", "node2", "node3"].map((host) => ({ around: container(host) }))
    await together("a container that is restarted", containers.slice(0, 1), "restarts")
    await together("two containers", containers.slice(0, 2))
    await together("two containers, one of which vanishes", containers.slice(0, 2), "vanishes")
    await together("three containers, one of which is restarted", containers, "restarts")
  }
  await together("two hosts", on(hosts))
  await together("two hosts, one of which vanishes", on(hosts), "vanishes")
  await together("two hosts without shared locks", on(lockless))
  await together("two hosts without shared locks, one of which vanishes", on(lockless), "vanishes")
  await together("two hosts whose clocks jump, one of which vanishes", on(hosts, jumping), "vanishes")
}
if (!hasContainers) console.log("skipped the containers: this user may not make namespaces")
for (const folder of [...hosts, ...lockless, root]) rmSync(folder, { recursive: true })
findings.end(
  `${stores} stores, ${taken} supervisors killed, ${made} units made by those that stayed, ${((performance.now() - began) / 1000).toFixed(0)} s`,
)
