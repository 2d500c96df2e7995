/**
 * bun test/soak/memory.ts
 *
 * Studies in a cgroup with less memory than their jobs take, so that the kernel kills workers: jobs that have room one at
 * a time are all made, though three at once have not; one that has no room by itself fails, and says with how much; the
 * others are made. Takes root, and a hierarchy of cgroups that limits memory; half a minute.
 */
import { existsSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { main } from "../core/cli/command-line.ts"
import { Findings, temporaryFolder } from "./study.ts"

/** Bytes; one worker and the command take about 250 MB. */
const limit = 700e6

const hierarchies = [
  { folder: "/sys/fs/cgroup/memory", file: "memory.limit_in_bytes" },
  { folder: "/sys/fs/cgroup", file: "memory.max" },
]

/** A cgroup with that limit; undefined where none can be made. */
const makeCgroup = (): string | undefined => {
  for (const { folder, file } of hierarchies) {
    const made = join(folder, `kasosei-${process.pid}`)
    try {
      mkdirSync(made)
      if (existsSync(join(made, file))) {
        writeFileSync(join(made, file), `${limit}`)
        return made
      }
      rmdirSync(made)
    } catch {
      // Not allowed here.
    }
  }
  return undefined
}

const cgroup = makeCgroup()
const root = temporaryFolder("memory")
const findings = new Findings()

/** A study whose jobs take so many megabytes each, three at a time. */
const study = (name: string, megabytes: string) => {
  const args = [
    "pipeline",
    join(import.meta.dir, "memory-taking.ts"),
    "--out",
    join(root, name),
    "--jobs",
    "3",
  ]
  const { exitCode, stderr } = Bun.spawnSync([
    ...["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', cgroup!],
    ...[process.execPath, main, ...args, "--backend", "cpu", "--set", `megabytes=${megabytes}`],
  ])
  return { code: exitCode, stderr: stderr.toString() }
}
const expected = (what: string, found: ReturnType<typeof study>, code: number, ...parts: readonly RegExp[]) =>
  findings.add(
    what,
    found.code === code && parts.every((part) => part.test(found.stderr))
      ? []
      : [`expected exit code ${code} and ${parts.join(", ")}, found ${found.code}: ${found.stderr}`],
  )

if (cgroup === undefined) console.log("skipped: this user can make no cgroup that limits memory")
else {
  expected(
    "three jobs of 250 MB",
    study("together", "250,251,252"),
    0,
    /memory ran out, and the kernel killed the worker process for it/,
    /it is tried again with no other job beside it/,
    /^3 units made, 0 reused, 0 failed/m,
  )
  expected(
    "a job of 900 MB beside two small ones",
    study("alone", "50,900,60"),
    1,
    /failed: memory ran out, .* also with no other job beside it. Use a machine with more memory/,
    /^2 units made, 0 reused, 1 failed/m,
  )
  rmdirSync(cgroup)
}
rmSync(root, { recursive: true, force: true })
findings.end(cgroup === undefined ? "nothing was run" : "2 studies")
