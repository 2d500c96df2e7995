import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { spawnSync } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { constants, hostname, tmpdir } from "node:os"
import { join, resolve } from "node:path"
import type { Provenance } from "../../../core/api/provenance.ts"
import { ExitCode } from "../../../core/cli/exit.ts"
import { sampleFile } from "../sample/study.ts"
import { answer } from "./answer.ts"
import {
  alive,
  childrenOf,
  command,
  digests,
  type Ended,
  type Running,
  sample,
  start,
  untilEnded,
} from "./command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

let root: string
let folders = 0
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-commands-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const freshOut = () => join(root, `out-${++folders}`)
const json = ({ stdout }: Ended) => JSON.parse(stdout)

/** The folder of the report that was published last. */
const latest = (out: string, ...branch: readonly string[]) => {
  const folder = join(out, "sample", ...branch)
  return join(folder, readlinkSync(join(folder, "latest")))
}

describe("a whole run", () => {
  test("makes every unit in worker processes, and the second run reuses them all", async () => {
    const out = freshOut()
    const first = await command(sample(out, [], ["--json", "--jobs", "2"]))
    expect(first.code).toBe(0)
    const page = join(latest(out), "report", "index.html")
    expect(json(first)).toMatchObject({ made: 10, reused: 0, failures: [], pages: [page] })
    expect(readFileSync(page, "utf8")).toContain('[{"lr":2},2,17]')
    expect(readdirSync(join(out, "scratch"))).toEqual([])
    expect(existsSync(join(out, "lock"))).toBe(false)

    const second = await command(sample(out))
    expect(second.code).toBe(0)
    expect(second.stderr).toContain("nothing to do: all 10 units are done")
    expect(second.stdout).toBe(`report: ${page}\n`)

    const alone = freshOut()
    expect((await command(sample(alone, [], ["--jobs", "1"]))).code).toBe(0)
    expect(digests(alone)).toEqual(digests(out))
    expect(Object.keys(digests(out))).toHaveLength(10)
  })

  test("a report is told by which command line and from which commit it is made, whatever process makes it", async () => {
    const out = freshOut()
    const args = sample(out, ["provenance=true", "seeds=1", "title=it's"], ["--precision", "fp32"])
    expect((await command(args)).code).toBe(0)
    const path = join(latest(out), "origins", "provenance.json")
    const told: Provenance = JSON.parse(readFileSync(path, "utf8"))
    expect(told.command).toMatch(/ pipeline .*--backend wasm .*--precision fp32 .*--set 'title=it'\\''s'$/)
    expect(told.pipeline).toMatchObject({ name: "sample", file: sampleFile })
    expect(told.pipeline.parameters).toMatchObject({ seeds: [1], lr: [1, 2], title: "it's", count: 5 })
    const { commit } = told.madeBy.software
    if (existsSync(join(import.meta.dir, "..", "..", "..", ".git")))
      expect(commit?.hash).toMatch(/^[0-9a-f]{40,64}$/)
    expect(told.units.map(({ madeBy }) => madeBy!.software.commit)).toEqual(told.units.map(() => commit))
    expect(told.units.map(({ madeBy }) => madeBy!.computed).filter((computed) => computed !== null)).toEqual(
      [1, 2].map(() => ({
        backend: "wasm",
        precision: "fp32",
        instructions: "WebAssembly SIMD",
        threads: null,
      })),
    )
  })

  test("reports progress in plain lines without a terminal, among what plugins print", async () => {
    const { stderr } = await command(
      sample(freshOut(), ["lr=1", "seeds=1", "count=2", "observe=2", "aloud=true"]),
    )
    const lines = stderr.replaceAll(/ [\d.]+ s\b/g, " …").split("\n")
    expect(lines).toEqual([
      expect.stringMatching(
        /^sample: 1 run, 1 probe and 2 other units to do, … or more on wasm \(WebAssembly SIMD\), float32, \d+ jobs?, \/.*\/$/,
      ),
      "[1/4] sample-source count=2 broken=false …",
      "seed 1 at step 0",
      "seed 1 at step 1",
      "[3/4] sample-walk lr=1 seed=1 with 1 probe …",
      "[4/4] sample-listing title=sums …",
      "4 units made, 0 reused, 0 failed in …",
      "",
    ])
  })
})

describe("--plan", () => {
  test("shows what is to be done, runs nothing and writes nothing", async () => {
    const out = freshOut()
    const { code, stdout, stderr } = await command(sample(out, [], ["--plan"]))
    expect([code, stderr]).toEqual([0, ""])
    expect(stdout).toContain("sample: 4 runs, 4 probes and 2 other units to do\n")
    expect(stdout).toMatch(/finetune +sample-walk lr=2 +2 +2 to do +10\.0 MFLOP +never made\n/)
    expect(existsSync(out)).toBe(false)
  })

  test("says where the report will be: from the current folder, if it is in there", async () => {
    const [plan, planJson] = await Promise.all([
      command(sample("never-made", [], ["--plan"])),
      command(sample("never-made", [], ["--plan", "--json"])),
    ])
    const [, folder] = /\n\nThe report will be in (never-made\/sample\/[0-9a-f]{12})\n$/.exec(plan.stdout)!
    expect(json(planJson).report).toBe(resolve(folder!))
  })

  test("--json gives the units as data", async () => {
    const out = freshOut()
    const ended = await command(sample(out, ["seeds=1"], ["--plan", "--json"]))
    expect([ended.code, ended.stderr]).toEqual([0, ""])
    const units: { label: string; state: string; key: string }[] = json(ended).units
    expect(json(ended).design).toEqual({
      report: [1, 2].map((lr) => expect.stringContaining(`no spread of the sums at lr=${lr} can be told`)),
    })
    expect(units.map(({ label, state }) => [label, state])).toEqual([
      ["sample-source count=5 broken=false", "to do"],
      ["sample-walk lr=1 seed=1", "to do"],
      ["sample-walk lr=2 seed=1", "to do"],
      ["sample-watch lr=1 seed=1", "to do"],
      ["sample-watch lr=2 seed=1", "to do"],
      ["sample-listing title=sums", "to do"],
    ])
    expect(existsSync(out)).toBe(false)
  })

  test("names the runs that are replayed for new steps of a probe", async () => {
    const out = freshOut()
    await command(sample(out, ["seeds=1"], []))
    const { stdout } = await command(sample(out, ["seeds=1", "observe=2"], ["--plan"]))
    const rows = stdout.split("\n").map((line) => line.split(/ {2,}/))
    expect(rows.filter(([stage]) => stage === "finetune")).toEqual([
      ["finetune", "sample-walk lr=1", "1", "replayed", "2.0 MFLOP", "new probes watch it"],
      ["finetune", "sample-walk lr=2", "1", "replayed", "2.0 MFLOP", "new probes watch it"],
    ])
    expect(rows[0]).toEqual(["sample: 2 probes and 1 other unit to do, 2 runs replayed, 1 unit done"])
  })
})

describe("exit codes", () => {
  test("1 if a unit failed; the others are made", async () => {
    const ended = await command(sample(freshOut(), ["seeds=1", "failAt=2"], ["--json"]))
    expect(ended.code).toBe(1)
    const { made, failures } = json(ended)
    expect(made).toBe(4)
    expect(failures).toMatchObject([
      { unit: "sample-walk lr=2 seed=1", status: "failed", reason: "asked to fail" },
      { unit: "sample-watch lr=2 seed=1", status: "failed" },
    ])
    expect(ended.stderr).toContain("  sample-walk lr=2 seed=1 failed: asked to fail\n")
  })

  test("0 if a run diverged and the report could be made: that is a result, and told as one", async () => {
    const ended = await command(sample(freshOut(), ["seeds=1", "divergeAt=2"], ["--json", "--jobs", "1"]))
    expect(ended.code).toBe(0)
    expect(json(ended).failures).toMatchObject([
      { unit: "sample-walk lr=2 seed=1", status: "diverged", step: 2 },
      { unit: "sample-watch lr=2 seed=1", status: "diverged", step: 2 },
    ])
    const lines = ended.stderr.replaceAll(/ [\d.]+ s\b/g, " …").split("\n")
    expect(lines.slice(-5)).toEqual([
      "[5/6] sample-walk lr=2 seed=1 with 1 probe diverged at step 2: the sum is NaN …",
      "[6/6] sample-listing title=sums …",
      "4 units made, 0 reused, 0 failed, 2 diverged in …",
      "  sample-walk lr=2 seed=1 diverged at step 2: the sum is NaN",
      "",
    ])
  })

  test("1 if the report cannot be published, once its units are made; then it is, and nothing else is done", async () => {
    const out = freshOut()
    const { report } = json(await command(sample(out, ["seeds=1"], ["--plan", "--json"])))
    const page = join(report, "report", "index.html")
    mkdirSync(join(report, "report"), { recursive: true })
    writeFileSync(page, "mine")
    const ended = await command(sample(out, ["seeds=1"]))
    expect([ended.code, ended.stdout]).toEqual([1, ""])
    expect(ended.stderr).toContain("6 units made, 0 reused, 0 failed")
    expect(ended.stderr).toEndWith(
      `\nthe report was not published: cannot write ${page}: there is a file that was not published from here. Move it to another place. Finished work is kept: then the same command only publishes the report\n`,
    )
    expect(readFileSync(page, "utf8")).toBe("mine")
    rmSync(page)
    const again = await command(sample(out, ["seeds=1"]))
    expect([again.code, again.stdout]).toEqual([0, `report: ${page}\n`])
    expect(again.stderr).toContain("nothing to do: all 6 units are done")
  })

  test("1 if a worker is killed each time that a job is tried, which loses the job; the others continue", async () => {
    const ended = await command(sample(freshOut(), ["seeds=1", "crashAt=2"], ["--json", "--jobs", "1"]))
    expect(ended.code).toBe(1)
    const { made, failures } = json(ended)
    expect(made).toBe(4)
    const reason = expect.stringContaining("in each of 4 attempts, the worker process was killed by SIGKILL")
    expect(failures).toMatchObject([
      { unit: "sample-walk lr=2 seed=1", status: "failed", kind: "lost", reason },
      { unit: "sample-watch lr=2 seed=1", status: "failed", kind: "lost", reason },
    ])
  })
})

describe("a run that is stopped", () => {
  /** Settings with which a run waits at step 3 until the file is removed. */
  const held = () => {
    const hold = join(root, `hold-${folders}`)
    writeFileSync(hold, "")
    return { hold, settings: ["lr=1", "seeds=1", "aloud=true", `hold=${hold}`] }
  }

  test("by Ctrl-C saves its state, leaves no worker, and is resumed by the next run", async () => {
    const out = freshOut()
    const { hold, settings } = held()
    const stopped = start(sample(out, settings))
    await stopped.said("at step 3")
    const workers = childrenOf(stopped.pid)
    expect(workers.length).toBeGreaterThan(0)
    stopped.signal("SIGINT")
    const { code, stderr, stdout } = await stopped.ended
    expect([code, stdout]).toEqual([130, ""])
    expect(stderr).toEndWith(
      "stopping: running jobs save their state first\nstopped; the same command resumes from here\n",
    )
    expect(alive(workers)).toEqual([])
    expect(existsSync(join(out, "lock"))).toBe(false)

    rmSync(hold)
    const resumed = await command(sample(out, settings))
    expect(resumed.code).toBe(0)
    expect(/at step (\d+)/.exec(resumed.stderr)![1]).toBe("3")

    const whole = freshOut()
    await command(sample(whole, settings))
    expect(digests(out)).toEqual(digests(whole))
  })

  test.each<[string, (run: Running) => void]>([
    ["the signal of a terminal that is closed", (run) => run.signal("SIGHUP")],
    ["a standard error that nobody reads any more", (run) => run.leave()],
  ])("by %s saves its state as well", async (_, close) => {
    const out = freshOut()
    // It goes on writing, and so notices that nobody reads.
    const left = start(sample(out, ["lr=1", "seeds=1", "count=1000", "slow=50", "aloud=true"]))
    await left.said("at step 3")
    const workers = childrenOf(left.pid)
    close(left)
    expect((await left.ended).code).toBe(128 + constants.signals.SIGHUP)
    expect(alive(workers)).toEqual([])
    expect(existsSync(join(out, "lock"))).toBe(false)
    expect(readdirSync(join(out, "scratch"))).toHaveLength(1)
  })

  test("before its first job reports that it stops, and then that it has stopped", async () => {
    const out = freshOut()
    const stopped = start(sample(out, held().settings))
    await stopped.said("to do")
    stopped.signal("SIGINT")
    const { code, stderr } = await stopped.ended
    expect(code).toBe(130)
    expect(stderr).toEndWith(
      "stopping: running jobs save their state first\nstopped; the same command resumes from here\n",
    )
  })

  test("by the death of the supervising process saves its state too, and another one goes on from there", async () => {
    const out = freshOut()
    const { settings } = held()
    const killed = start(sample(out, settings))
    await killed.said("at step 3")
    const workers = childrenOf(killed.pid)
    expect(workers.length).toBeGreaterThan(0)

    const other = start(sample(out, settings))
    await other.said(`process ${workers[0]} on ${hostname()} makes it; waiting`)
    killed.signal("SIGKILL")
    await killed.ended
    await untilEnded(workers)
    await other.said("at step")
    other.signal("SIGTERM")
    const { code, stderr } = await other.ended
    expect(code).toBe(128 + constants.signals.SIGTERM)
    expect(/at step (\d+)/.exec(stderr)![1]).toBe("3")
  })
})

describe("--branch", () => {
  const branch = (out: string, run: string, settings: readonly string[], flags: readonly string[] = []) =>
    sample(out, settings, ["--branch", run, "--json", ...flags])
  /** The sums of all walks in a store, in the order of their texts. */
  const walks = (out: string) =>
    readdirSync(join(out, "artifacts"))
      .filter((name) => name.startsWith("sample-walk"))
      .map((name) => readFileSync(join(out, "artifacts", name, "data", "numbers.json"), "utf8"))
      .map((text) => JSON.stringify(JSON.parse(text)))
      .sort()

  test("makes a run of the pipeline again with other options from a step on, and nothing else", async () => {
    const out = freshOut()
    expect((await command(sample(out, ["lr=2"]))).code).toBe(0)
    expect(walks(out)).toEqual(["[2,4,7,11,16]", "[3,5,8,12,17]"])
    const made = await command(branch(out, "lr=2 seed=1@3", ["gain=10", "pipeline.lr=2"]))
    expect([made.code, json(made)]).toMatchObject([0, { made: 1, reused: 2, failures: [], pages: [] }])
    expect(made.stderr).toContain("sample/branch-lr=2-seed=1-gain=10@3: 1 run to do, ")
    expect(walks(out)).toEqual(["[2,4,7,11,16]", "[2,4,7,47,97]", "[3,5,8,12,17]"])
    expect(existsSync(join(latest(out, "branch-lr=2-seed=1-gain=10@3"), "summary.json"))).toBe(true)
    // What the pipeline made stays as it was.
    expect(existsSync(join(latest(out), "report", "index.html"))).toBe(true)
  })

  test("needs nothing of the run in the store, and is stopped and resumed after its step", async () => {
    const out = freshOut()
    const hold = join(root, `hold-${folders}`)
    writeFileSync(hold, "")
    const settings = ["gain=10", "aloud=true", "pipeline.lr=1", "pipeline.seeds=1", `pipeline.hold=${hold}`]
    const stopped = start(branch(out, "seed=1@2", settings, ["--jobs", "2"]))
    await stopped.said("at step 3")
    stopped.signal("SIGINT")
    expect((await stopped.ended).code).toBe(130)
    rmSync(hold)
    const resumed = await command(branch(out, "seed=1@2", settings))
    expect(resumed.code).toBe(0)
    expect(/at step (\d+)/.exec(resumed.stderr)![1]).toBe("3")
    expect(walks(out)).toEqual(["[2,4,34,74,124]", "[2,4,7,11,16]"])
  })
})

test.skipIf(!existsSync("/dev/full"))("a full disk under standard output is reported", () => {
  const main = join(import.meta.dir, "..", "..", "..", "core", "cli", "main.ts")
  const { status, stderr } = spawnSync("sh", ["-c", '"$0" "$1" plugins > /dev/full', process.execPath, main])
  expect([status, String(stderr)]).toEqual([
    1,
    expect.stringMatching(/^cannot write standard output: the disk is full\. .*\n$/),
  ])
})

describe("input that is refused", () => {
  /** Exit code 2, one message on standard error without a stack trace, nothing on standard output. */
  const refused = async (args: readonly string[], message: string) => {
    const { code, stderr, stdout } = await command(args)
    expect({ code, stderr, stdout }).toEqual({
      code: 2,
      stderr: expect.stringContaining(message),
      stdout: "",
    })
    expect(stderr).not.toMatch(/\n\s+at /)
  }
  /** The same in this process: the program writes the message of such a failure and exits with code 2. */
  const fails = async (args: readonly string[], message: string | RegExp) => {
    const { stdout, stderr, failure } = await answer(args)
    expect([stdout, stderr]).toEqual(["", ""])
    expect(failure).toBeInstanceOf(Error)
    expect(failure).not.toBeInstanceOf(ExitCode)
    const said = (failure as Error).message
    if (typeof message === "string") expect(said).toContain(message)
    else expect(said).toMatch(message)
    expect(said).not.toMatch(/\n\s+at /)
  }

  const pipelines = {
    "throws.ts": [
      "const a = 1\n\nthrow new Error('no ' + a)",
      "it threw an error while loading: Error: no 1 (line 3)",
    ],
    // arktype throws what it cannot parse many calls below the file.
    "default.ts": [
      `import { type } from ${JSON.stringify(import.meta.resolve("arktype"))}
export default type({ lr: 'number > 0 = 3e-4' })`,
      "it threw an error while loading: ParseError: '3e-4' is unresolvable (line 2)",
    ],
    "unreadable.ts": ["\nexport default = {", "it threw an error while loading"],
    "nothing.ts": ["const a = 1", "it exports nothing; expected `export default pipeline({ … })`"],
    "named.ts": ["export const a = 1", "it exports a, but has no default export"],
    "null.ts": [
      `import { type } from ${JSON.stringify(import.meta.resolve("arktype"))}
export default { name: "x", summary: "x", parameters: type({}), build: () => null }`,
      "build returned no targets",
    ],
    "function.ts": [
      'export default { name: "x", summary: "x", parameters: () => ({}), build: () => null }',
      "parameters must be an arktype of an object (was ",
    ],
    "taken.ts": [
      `import { type } from ${JSON.stringify(import.meta.resolve("arktype"))}
export default { name: "artifacts", summary: "x", parameters: type({}), build: () => null }`,
      "name must be another than artifacts, sources, scratch, damaged, tmp, owners, leases, launches, logs, lock, latest (was ",
    ],
    "wrong.ts": ['export default { name: "X", steps: 3 }', "build must be a function (was missing)"],
  } as const

  test("pipeline files that cannot be used, each with what to do", async () => {
    const folder = join(root, "pipelines")
    mkdirSync(folder)
    for (const [name, [text]] of Object.entries(pipelines)) writeFileSync(join(folder, name), text)
    const out = freshOut()
    const open = (name: string) => ["pipeline", join(folder, name), "--out", out]
    for (const [name, [, message]] of Object.entries(pipelines)) await fails(open(name), message)
    await fails(open("absent.ts"), "absent.ts: there is no such file")
    await fails(
      ["pipeline", "absent"],
      /^absent: there is no such file; pipelines\/ contains .*\bmini\.ts, .*\bquickstart\.ts\b/,
    )
    await fails(["pipeline", "quikstart.ts"], "there is no such file; did you mean quickstart.ts?")
    await fails(["pipeline", "absent.ts", "--help"], "absent.ts: there is no such file")
    await refused(open("throws.ts"), pipelines["throws.ts"][1])
    expect(existsSync(out)).toBe(false)
  })

  test("names that leave the folder of results, or that it has for itself, before anything is written or removed", async () => {
    const folder = join(root, "names")
    mkdirSync(join(folder, "out"), { recursive: true })
    writeFileSync(join(folder, "mine"), "")
    const [arktype, page] = [
      import.meta.resolve("arktype"),
      join(import.meta.dir, "..", "sample", "plugins.ts"),
    ]
    let files = 0
    const open = (name: string, target: string) => {
      // Each once: a module is loaded from its file only the first time.
      const file = join(folder, `${files++}.ts`)
      writeFileSync(
        file,
        `import { type } from ${JSON.stringify(arktype)}
import { listing } from ${JSON.stringify(page)}
export default { name: ${JSON.stringify(name)}, summary: "x", parameters: type({}),
  build: () => ({ ${JSON.stringify(target)}: listing({ runs: [], seen: [], title: "x" }) }) }`,
      )
      return ["pipeline", file, "--backend", "wasm", "--out", join(folder, "out")]
    }
    await refused(open("x", "../.."), 'the target "../..": its name must be of letters and digits')
    for (const name of ["../..", "/tmp/x", "", "a\u0000b", "\u001b[31m"])
      await fails(open(name, "report"), "name must be of letters and digits, with hyphens and dots inside")
    for (const name of ["artifacts", "scratch", "lock", "Latest"])
      await fails(open(name, "report"), "name must be another than artifacts, ")
    const others = readdirSync(folder).filter((name) => !name.endsWith(".ts"))
    expect(others.sort()).toEqual(["mine", "out"])
    expect(readdirSync(join(folder, "out"))).toEqual([])
  })

  test("a folder of reports that is a symbolic link, before anything runs", async () => {
    const out = freshOut()
    mkdirSync(out)
    mkdirSync(join(root, "elsewhere"))
    symlinkSync(join(root, "elsewhere"), join(out, "sample"))
    await fails(
      sample(out),
      `cannot use ${join(out, "sample")}: expected a folder, found a symbolic link. Move it to another place`,
    )
    expect(readdirSync(out)).toEqual(["sample"])
    expect(readdirSync(join(root, "elsewhere"))).toEqual([])
  })

  test("flags and parameters", async () => {
    const out = freshOut()
    const file = join(root, "file")
    writeFileSync(file, "")
    await fails(
      sample(out, [], ["--backend", "gpu"]),
      "--backend: there is no backend gpu; did you mean cpu?",
    )
    await fails(sample(out, ["sedes=1", "count=x"]), "there is no parameter sedes; did you mean seeds?")
    await fails(sample(out, ["count=0"]), "sample-source: count must be")
    const branch = (run: string, ...settings: readonly string[]) => sample(out, settings, ["--branch", run])
    await fails(branch("seed=1", "gain=2"), "--branch seed=1: expected RUN@STEP")
    await fails(
      branch("seed=1@2", "gain=2"),
      "expected the name of one run, found 2: sample-walk lr=1 seed=1; ",
    )
    await fails(
      branch("lr=1 seed=1@9", "gain=2"),
      "expected a step from 0 to 5, the end of sample-walk lr=1 seed=1",
    )
    await fails(
      branch("lr=1 seed=1@2"),
      "expected what changes at this step, as --set name=value with aloud, gain",
    )
    await fails(
      branch("lr=1 seed=1@2", "count=2"),
      "for the parameter of sample, write --set pipeline.count=…",
    )
    await fails(
      branch("lr=1 seed=1@2", "gain=2", "pipeline.sedes=1"),
      "--set pipeline.sedes=1: there is no parameter sedes; did you mean seeds?",
    )
    await fails(sample(out, ["pipeline.seeds=1"]), "there is no parameter pipeline.seeds")
    await refused(
      sample(file),
      `cannot use ${file}: expected a folder, found a file. Choose another folder with --out`,
    )
    await fails(sample(join(file, "deep")), "expected a folder, but part of the path is a file")
    expect(existsSync(out)).toBe(false)
  })
})

test("a usage error is one line on standard error, without the help", async () => {
  const mistakes = [
    [["pipelin", "x"], "there is no command pipelin; did you mean pipeline?"],
    [["pipeline", "x", "--jobs", "many"], '--jobs must be an integer from 1 to 1024 (was "many")'],
    [
      ["pipeline", "x", "--time-limit", "12"],
      '--time-limit must be a duration of at least a second: 90s, 30m, 12h, 2d (was "12")',
    ],
    [
      ["pipeline", "quickstart.ts", "--plan", "--set", "hidden=50"],
      "quickstart: --set hidden=50: hidden must be a multiple of 4, the number of heads, from 4 to 65536 (was 50)",
    ],
  ] as const
  for (const [args, message] of mistakes) {
    expect(await command(args)).toEqual({ code: 2, stdout: "", stderr: `${message}\n` })
  }
})

test("--help of a pipeline lists its parameters", async () => {
  const { code, stdout, stderr } = await command(["pipeline", "quickstart.ts", "--help"])
  expect([code, stderr]).toEqual([0, ""])
  expect(stdout).toContain("\nPARAMETERS\n  dropout  ")
})

test("the other commands work", async () => {
  const [plugins, doctor, help, completions] = await Promise.all([
    command(["plugins"]),
    command(["doctor", "--json", "--backend", "cpu"]),
    command(["--help"]),
    command(["--completions", "bash"]),
  ])
  for (const { code, stderr } of [plugins, doctor, help, completions]) expect([code, stderr]).toEqual([0, ""])
  expect(plugins.stdout).toMatch(/\n {2}classification \(version \d+\)/)
  expect(json(doctor).backends).toEqual([{ backend: "cpu", works: true, problem: null, details: [] }])
  for (const name of ["pipeline", "doctor", "plugins", "new"]) {
    expect(help.stdout).toContain(`  ${name} `)
    expect(completions.stdout).toContain(name)
  }
})

test("doctor checks in the precision that is asked for, and names a backend that does not compute in it", async () => {
  const { code, stdout, stderr } = await command(["doctor", "--precision", "bf16", "--backend", "cpu"])
  expect([code, stderr]).toEqual([1, "no backend works here\n"])
  expect(stdout).toContain(
    "fails  cpu: the backend cpu cannot run here: it does not compute in bf16; choose --precision fp32",
  )
})
