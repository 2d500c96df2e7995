/** The studies that the scripts beside this one disturb, and how they tell whether one is as if nothing had happened. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { sha256 } from "../../core/io/digest.ts"
import { integers, type Stream, stream } from "../../core/tensor/stream.ts"
import { command, type Running } from "../core/cli/command-line.ts"

/** The folder of this project. */
export const project = join(import.meta.dir, "..", "..")

type Settings = Readonly<Record<string, string | number>>

export interface Study {
  readonly name: string
  /** How many lines it writes to standard error, about. */
  readonly lines: number
  /** The command line that runs it, in a copy of this project or with other settings. */
  readonly args: (out: string, folder?: string, others?: Settings) => readonly string[]
}

const args =
  (file: string, settings: Settings, jobs: number) =>
  (out: string, folder = project, others: Settings = {}): readonly string[] => [
    ...["pipeline", join(folder, file), "--out", out, "--backend", "wasm", "--jobs", `${jobs}`],
    ...Object.entries({ ...settings, ...others }).flatMap(([name, value]) => ["--set", `${name}=${value}`]),
  ]

/** The pipeline of core's tests: 14 units in 8 jobs, of which six take 2 s. */
export const sampleStudy = (jobs = 2): Study => ({
  name: "sample",
  lines: 100,
  args: args("test/core/sample/pipeline.ts", { seeds: "1..3", count: 20, slow: 100, aloud: "true" }, jobs),
})

const tiny = { layers: 1, hidden: 8, sentences: 200, mlmSteps: 20, simcseSteps: 10, train: 64, dev: 16 }

/** The quickstart with a very small model: it computes with tensors, and saves the state of its trainings. */
export const quickstartStudy = (jobs = 2): Study => ({
  name: "quickstart",
  lines: 20,
  args: args(
    "pipelines/quickstart.ts",
    { ...tiny, simcseSeeds: 42, seeds: "1,2", rankSeeds: "1,2", lr: "1e-3", epochs: 4, samples: 4 },
    jobs,
  ),
})

export const studyNamed = (name: string): Study => {
  if (name === "sample") return sampleStudy()
  if (name === "quickstart") return quickstartStudy()
  throw new Error(`expected the study sample or quickstart, found ${name}`)
}

/** The paths of all files in a folder; none if there is no such folder. No link is followed. */
export const filesIn = (folder: string, prefix = ""): readonly string[] =>
  !existsSync(folder)
    ? []
    : readdirSync(folder, { withFileTypes: true })
        .flatMap((entry) => {
          const path = `${prefix}${entry.name}`
          if (entry.isDirectory()) return filesIn(join(folder, entry.name), `${path}/`)
          return entry.isFile() ? [path] : []
        })
        .sort()

/** When and where something was made is no part of the results, nor is what was set aside beside a report. */
const isResult = (path: string) =>
  !/(^|\/)provenance\.(html|json)$|\.(damaged|changed)-\d{4}-/.test(path) &&
  !["report.json", "summary.json", "publishing.lock"].includes(path)

const digestsIn = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    filesIn(folder)
      .filter(isResult)
      .map((path) => [path, sha256(readFileSync(join(folder, path)))]),
  )

/** The digest of every file of every artifact, and of the published report. */
export const bytesOf = (out: string, { name }: Study): Readonly<Record<string, string>> => {
  const bytes: Record<string, string> = {}
  for (const artifact of readdirSync(join(out, "artifacts"))) {
    const files = digestsIn(join(out, "artifacts", artifact, "data"))
    for (const [path, digest] of Object.entries(files)) bytes[`${artifact}/${path}`] = digest
  }
  const report = digestsIn(realpathSync(join(out, name, "latest")))
  for (const [path, digest] of Object.entries(report)) bytes[`report: ${path}`] = digest
  return bytes
}

interface Made {
  readonly made: string
  readonly missing: readonly string[]
}

const manifestsIn = (out: string): readonly (readonly [name: string, Made])[] => {
  const artifacts = join(out, "artifacts")
  return (existsSync(artifacts) ? readdirSync(artifacts) : []).flatMap((name) => {
    const manifest = join(artifacts, name, "manifest.json")
    return existsSync(manifest) ? [[name, JSON.parse(readFileSync(manifest, "utf8")) as Made] as const] : []
  })
}

/** When each finished artifact was made, by its folder. A report that lacks failed runs is not finished. */
export const madeIn = (out: string): ReadonlyMap<string, string> =>
  new Map(manifestsIn(out).flatMap(([name, { made, missing }]) => (missing.length > 0 ? [] : [[name, made]])))

/** Forgets that reports were made which lack failed runs, since they are made again. */
export const forgetLacking = (out: string): void => {
  for (const [name, { missing }] of manifestsIn(out))
    if (missing.length > 0) rmSync(join(out, "logs", `${name}.log`), { force: true })
}

/** Labels that the logs say were finished more than once. */
export const finishedTwice = (out: string): readonly string[] => {
  const times = new Map<string, number>()
  for (const file of filesIn(join(out, "logs"))) {
    for (const [, label] of readFileSync(join(out, "logs", file), "utf8").matchAll(/Z done: (.*)$/gm))
      times.set(`${file}: ${label}`, (times.get(`${file}: ${label}`) ?? 0) + 1)
  }
  return [...times].filter(([, count]) => count > 1).map(([label, count]) => `${label}: ${count} times`)
}

/** What is in the folders that are empty when nothing is at work and nothing is unfinished. */
export const leftIn = (out: string): readonly string[] =>
  ["tmp", "leases", "owners", "scratch"].flatMap((folder) =>
    existsSync(join(out, folder)) ? readdirSync(join(out, folder)).map((name) => `${folder}/${name}`) : [],
  )

/** What differs between two sets of digests. */
export const differences = (
  expected: Readonly<Record<string, string>>,
  found: Readonly<Record<string, string>>,
): readonly string[] =>
  [...new Set([...Object.keys(expected), ...Object.keys(found)])]
    .filter((path) => expected[path] !== found[path])
    .map((path) =>
      found[path] === undefined
        ? `${path} is missing`
        : expected[path] === undefined
          ? `${path} is new`
          : `${path} differs`,
    )

export const leftBehind = "left behind:"

/** What is wrong with a study that has ended: bytes, double work, remains. */
export const faultsOf = (
  out: string,
  study: Study,
  whole: Readonly<Record<string, string>>,
): readonly string[] => [
  ...differences(whole, bytesOf(out, study)),
  ...finishedTwice(out).map((label) => `finished again: ${label}`),
  ...leftIn(out).map((path) => `${leftBehind} ${path}`),
]

/** What was finished before and has been made again since. */
export const madeAgain = (
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): readonly string[] =>
  [...before]
    .filter(([name, made]) => now.get(name) !== made)
    .map(([name]) => (now.has(name) ? `made again: ${name}` : `gone: ${name}`))

/** Runs a study that nobody disturbs. */
export const undisturbed = async (study: Study, out: string) => {
  const began = performance.now()
  const { code, stderr } = await command(study.args(out))
  if (code !== 0) throw new Error(`the undisturbed study failed:\n${stderr}`)
  return { bytes: bytesOf(out, study), units: madeIn(out).size, seconds: (performance.now() - began) / 1000 }
}

/** Replaces a piece of a file in a copy of the project. */
export const edit = (folder: string, path: string, before: string, after: string): void => {
  const text = readFileSync(join(folder, path), "utf8")
  if (!text.includes(before)) throw new Error(`expected ${path} to contain ${before}`)
  writeFileSync(join(folder, path), text.replace(before, after))
}

export const temporaryFolder = (name: string) => mkdtempSync(join(tmpdir(), `kasosei-${name}-`))

/** Waits until a command has written so many lines, or has ended. */
export const untilLine = async (
  { shown, ended }: Pick<Running, "shown"> & { readonly ended: Promise<unknown> },
  lines: number,
): Promise<void> => {
  let over = false
  ended.then(() => {
    over = true
  })
  while (!over && shown().split("\n").length <= lines) await Bun.sleep(10)
}

/** Numbers from one of the named streams, one after the other. */
export class Draws {
  private readonly stream: Stream
  private drawn = 0

  constructor(seed: number, name: string) {
    this.stream = stream(seed, name)
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return integers({ stream: this.stream, site: 0, iteration: this.drawn++ }, 1, bound)[0]!
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!
  }
}

/** Collects what was found wrong, prints it as it comes, and sets the exit code. */
export class Findings {
  private count = 0

  /** @param faults none if `what` is as it has to be */
  add(what: string, faults: readonly string[]): void {
    this.count += faults.length
    console.log(
      `${faults.length === 0 ? "ok   " : "FAULT"} ${what}${faults.map((fault) => `\n      ${fault}`).join("")}`,
    )
  }

  /** Prints the figures. */
  end(figures: string): void {
    console.log(`${figures}: ${this.count === 0 ? "no faults" : `${this.count} faults`}`)
    process.exitCode = this.count === 0 ? 0 : 1
  }
}
