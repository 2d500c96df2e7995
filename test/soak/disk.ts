/**
 * bun test/soak/disk.ts [COUNT] [SEED]
 *
 * What a disk can do to a store. Each of these COUNT times (10 by default):
 *
 * - it fills up, at the start or while a study runs: the command says so and what to do, what was finished stays, and
 *   once there is space the same command ends;
 * - it is read-only while a study is half done, or done: the command says so, what only reads still works, nothing is
 *   changed, and once it can be written to the same command ends;
 *
 * and a bit flips in every file of a finished store: in one file at a time, in COUNT of them, the next two commands, one
 * the same and one that needs everything, tell of it and make it again; in all of them at once, `store verify --repair`
 * and a run do.
 *
 * Always the bytes have to be those of an undisturbed study, with nothing left in tmp, leases, owners and scratch. All but
 * the bits takes a user who may mount file systems, such as root.
 *
 * 10 of each take 4 minutes on 2 idle cores.
 */
import { cpSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { sha256 } from "../../core/io/digest.ts"
import { command, start } from "../core/cli/command-line.ts"
import { smallDisk } from "../small-disk.ts"
import {
  bytesOf,
  Draws,
  differences,
  Findings,
  faultsOf,
  filesIn,
  forgetLacking,
  madeAgain,
  madeIn,
  project,
  sampleStudy,
  temporaryFolder,
  undisturbed,
  untilLine,
} from "./study.ts"

const [, , countText = "10", seedText = "1"] = process.argv
const count = Number(countText)
const draws = new Draws(Number(seedText), "disk")
const study = sampleStudy()
const findings = new Findings()
const root = temporaryFolder("disk")

const whole = await undisturbed(study, join(root, "whole"))
console.log(`undisturbed: ${Object.keys(whole.bytes).length} files in ${whole.seconds.toFixed(1)} s`)
const began = performance.now()

const expectMessage = (stderr: string, ...parts: readonly RegExp[]) =>
  parts.filter((part) => !part.test(stderr)).map((part) => `expected a message with ${part}, found ${stderr}`)

/** Runs the study to its end, which has to be as if nothing had happened. */
const expectEnd = async (what: string, out: string, before: ReadonlyMap<string, string>) => {
  const { code, stderr } = await command(study.args(out))
  const failed = code === 0 ? [] : [`exit code ${code}: ${stderr}`]
  findings.add(what, [...failed, ...madeAgain(before, madeIn(out)), ...faultsOf(out, study, whole.bytes)])
}

/** Kilobytes: what the store takes, and more. */
const diskSize = 40_000

const fillUp = async (round: number): Promise<boolean> => {
  const disk = smallDisk(diskSize)
  if (disk === undefined) return false
  try {
    const out = join(disk.folder, "out")
    const filler = join(disk.folder, "filler")
    // Every second time it is full from the start, but for up to 16 MB; otherwise it fills up at a random line.
    const early = round % 2 === 0
    const left = early ? 2 ** (12 + draws.below(13)) : draws.below(4) * 4096
    const fill = () => {
      const { bavail, bsize } = statfsSync(disk.folder)
      try {
        writeFileSync(filler, new Uint8Array(Math.max(0, bavail * bsize - left)))
      } catch {
        // The study has written meanwhile: it is full.
      }
    }
    const line = draws.below(study.lines)
    if (early) fill()
    const running = start(study.args(out))
    if (!early) {
      await untilLine(running, line)
      fill()
    }
    const { code, stderr } = await running.ended
    const what = `${left / 1024} kB left ${early ? "from the start" : `from line ${line} on`}`
    const made = madeIn(out)
    const enough = code === 0
    findings.add(
      `${what}: ${made.size} artifacts, exit code ${code}`,
      enough ? [] : expectMessage(stderr, /the disk is full/, /Free some space/),
    )
    rmSync(filler)
    forgetLacking(out)
    await expectEnd(`${what}, then enough`, out, made)
    return true
  } finally {
    disk.remove()
  }
}

const contentOf = (folder: string) =>
  Object.fromEntries(filesIn(folder).map((path) => [path, sha256(readFileSync(join(folder, path)))]))

const lockUp = async (round: number): Promise<boolean> => {
  const disk = smallDisk(diskSize)
  if (disk === undefined) return false
  try {
    const out = join(disk.folder, "out")
    const running = start(study.args(out))
    const line = round % 2 === 0 ? draws.below(study.lines) : Number.POSITIVE_INFINITY
    await untilLine(running, line)
    running.signal("SIGTERM")
    await running.ended
    const made = madeIn(out)
    const before = contentOf(disk.folder)
    disk.makeReadOnly()
    const { code, stderr } = await command(study.args(out))
    const faults = [
      ...(code === 0 ? ["exit code 0 though nothing can be written"] : []),
      ...expectMessage(stderr, /read-only/),
    ]
    for (const reading of [
      [...study.args(out), "--plan"],
      ["store", "ls", "--out", out],
      ["store", "verify", "--out", out],
      ["status", out],
    ]) {
      // Before the first artifact there is no store to read.
      if (made.size === 0) continue
      const { code, stderr } = await command(reading)
      if (code !== 0) faults.push(`exit code ${code} of ${reading.join(" ")}: ${stderr}`)
    }
    disk.makeWritable()
    const what = `read-only with ${made.size} artifacts`
    findings.add(what, [...faults, ...differences(before, contentOf(disk.folder))])
    await expectEnd(`${what}, then not`, out, made)
    return true
  } finally {
    disk.remove()
  }
}

const flip = (path: string) => {
  const bytes = readFileSync(path)
  const bit = draws.below(bytes.length * 8)
  bytes[bit >> 3]! ^= 1 << (bit & 7)
  writeFileSync(path, bytes)
}

/** Needs all that the study has made, the report excepted. */
const wider = (out: string) => study.args(out, project, { title: "wider", seeds: "1..4" })

/** A copy of the finished store. */
const copyOfStore = (name: string) => {
  const out = join(root, name)
  cpSync(join(root, "whole"), out, { recursive: true, verbatimSymlinks: true })
  return out
}
/**
 * The files that are to be as they were written: of artifacts, their code, the report, and the launch; one stands for all
 * of the code that was copied for it.
 */
const stored = () =>
  filesIn(join(root, "whole")).filter(
    (path) =>
      /^(artifacts|sources|sample|launches\/\d|launches\/code\/\w+\/package\.json)/.test(path) &&
      statSync(join(root, "whole", path)).size > 0,
  )

const flipOne = async (path: string, expected: Readonly<Record<string, string>>) => {
  const out = copyOfStore("flipped")
  flip(join(out, path))
  const same = await command(study.args(out))
  const wide = await command(wider(out))
  const again = await command(study.args(out))
  const faults = [same, wide, again].flatMap(({ code, stderr }) =>
    code === 0 ? [] : [`exit code ${code}: ${stderr}`],
  )
  // Nothing needs the record of an earlier launch.
  const isLaunch = /^launches\/\d/.test(path)
  const repaired = isLaunch ? await command(["store", "verify", "--repair", "--out", out]) : undefined
  const said = [same.stderr, wide.stderr, repaired?.stdout].join("")
  // What is published is compared with its digest, and written again.
  const told = /damaged: /.test(said) || path.startsWith("sample/")
  if (!told) faults.push(`nobody told of it: ${same.stderr}${wide.stderr}`)
  const verified = await command(["store", "verify", "--out", out])
  if (verified.code !== 0) faults.push(`still damaged: ${verified.stdout}`)
  findings.add(`a flipped bit in ${path}`, [...faults, ...differences(expected, bytesOf(out, study))])
  rmSync(out, { recursive: true })
}

const flipAll = async () => {
  const out = copyOfStore("all-flipped")
  const paths = stored()
  for (const path of paths) flip(join(out, path))
  const found = await command(["store", "verify", "--out", out, "--json"])
  const { problems } = JSON.parse(found.stdout) as { readonly problems: readonly { readonly of: string }[] }
  const repaired = await command(["store", "verify", "--repair", "--out", out])
  const { code, stderr } = await command(study.args(out))
  const verified = await command(["store", "verify", "--out", out])
  const faults = [
    ...(found.code === 1 ? [] : [`exit code ${found.code} of verify`]),
    ...(code === 0 ? [] : [`exit code ${code}: ${stderr}${repaired.stdout}`]),
    ...(verified.code === 0 ? [] : [`still damaged: ${verified.stdout}`]),
    ...differences(whole.bytes, bytesOf(out, study)),
  ]
  findings.add(`a flipped bit in each of ${paths.length} files: ${problems.length} problems found`, faults)
}

let mounts = true
for (let round = 0; round < count && mounts; round++) mounts = (await fillUp(round)) && (await lockUp(round))
if (!mounts) console.log("skipped full and read-only disks: this user may not mount file systems")

const both = copyOfStore("both")
for (const args of [wider(both), study.args(both)]) {
  const { code, stderr } = await command(args)
  if (code !== 0) throw new Error(`a study that nobody disturbs failed:\n${stderr}`)
}
const expected = bytesOf(both, study)
const paths = [...stored()]
let flipped = 0
for (; flipped < count && paths.length > 0; flipped++) {
  const [path] = paths.splice(draws.below(paths.length), 1)
  await flipOne(path!, expected)
}
await flipAll()
rmSync(root, { recursive: true })
const disks = mounts ? `${count} full disks, ${count} read-only ones` : "no disks"
findings.end(`${disks}, ${flipped} flipped files, ${((performance.now() - began) / 1000).toFixed(0)} s`)
