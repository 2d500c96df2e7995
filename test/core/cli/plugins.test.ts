import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { stages } from "../../../core/api/stage.ts"
import { pluginLines } from "../../../core/cli/plugins.ts"
import { command } from "./command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

describe("the list for people", () => {
  const nothing = {
    stages: stages.map((stage) => ({ stage, plugins: [] })),
    backends: [],
    checks: [],
    benches: [],
    launchers: [],
  }
  const plugin = {
    name: "norms",
    version: 3,
    summary: "The norm of each block's parameters, as they are trained",
    takes: ["data: examples", "dev?: examples"],
    gives: "observations",
    options: [
      { name: "lr", expected: "number > 0", fallback: undefined, comment: "" },
      { name: "maxLength", expected: "integer from 3 to 512", fallback: "128", comment: "Word pieces." },
      { name: "limit", expected: "integer >= 1", fallback: null, comment: "" },
    ],
  }

  test("aligns names, breaks lines between words at the width, and omits what is empty", () => {
    const list = {
      ...nothing,
      stages: [
        { stage: "data" as const, plugins: [] },
        { stage: "probe" as const, plugins: [plugin, { ...plugin, name: "b", takes: [], options: [] }] },
      ],
      backends: [
        { name: "native", summary: "C++ on all cores", precisions: ["fp32", "bf16"] as const },
        { name: "cpu", summary: "Slow", precisions: ["fp32"] as const },
      ],
      checks: [{ name: "reference", summary: "Against figures" }],
      benches: [{ name: "fast", summary: "Updates", flags: { "max-len": "Longest sequence" } }],
    }
    expect(pluginLines(list, 40).join("\n")).toBe(`probe

  norms (version 3)
    The norm of each block's parameters,
    as they are trained
    takes    data: examples, dev?:
             examples
    gives    observations
    options  lr         number > 0;
                        required
             maxLength  integer from 3
                        to 512; default
                        128
                        Word pieces.
             limit      integer >= 1;
                        optional

  b (version 3)
    The norm of each block's parameters,
    as they are trained
    takes  nothing
    gives  observations

backend

  native  C++ on all cores; fp32, bf16
  cpu     Slow; fp32

check

  reference  Against figures

bench

  fast
    Updates
    options  --max-len  Longest sequence`)
  })

  test("gives a word that is longer than a line a line of its own", () => {
    const list = { ...nothing, checks: [{ name: "a", summary: "one extraordinarily two" }] }
    expect(pluginLines(list, 12)).toEqual(["check", "", "  a  one", "     extraordinarily", "     two"])
  })
})

describe("bun run plugins", () => {
  test("lists every kind within 80 columns without a terminal", async () => {
    const { code, stdout, stderr } = await command(["plugins"])
    expect([code, stderr]).toEqual([0, ""])
    const lines = stdout.split("\n")
    expect(lines.filter((line) => /^\S/.test(line))).toEqual([
      ...stages,
      "backend",
      "launcher",
      "check",
      "bench",
    ])
    expect(lines.filter((line) => line.length > 80)).toEqual([])
    expect(stdout).toContain(
      "\n    takes    data: examples, checkpoint: checkpoint\n    gives    run, which probes can watch\n",
    )
    // The options that a builder of plugins declares have their comments too, also from a file beside it.
    expect(stdout).toContain(
      "options  epochs       integer from 1 to 10000; optional\n                          Whole epochs",
    )
    expect(stdout).toMatch(/\n {13}optimiser +optimiser; default adamw\(\{ biasCorrection: false,\n/)
  })

  test("NAME lists everything with this name and nothing else", async () => {
    const [people, json] = await Promise.all([
      command(["plugins", "fisher"]),
      command(["plugins", "fisher", "--json"]),
    ])
    expect(people.code).toBe(0)
    expect(people.stdout.split("\n").filter((line) => /^\S|^ {2}\S/.test(line))).toEqual([
      "probe",
      expect.stringMatching(/^ {2}fisher \(version \d+\)$/),
      "bench",
      "  fisher",
    ])
    const found = JSON.parse(json.stdout)
    expect(found.stages.find(({ stage }: { stage: string }) => stage === "probe").plugins).toMatchObject([
      {
        name: "fisher",
        version: expect.any(Number),
        takes: ["run: a run that it watches"],
        gives: "observations",
      },
    ])
    expect([found.backends, found.checks]).toEqual([[], []])
    expect(found.benches).toMatchObject([{ name: "fisher", flags: { model: expect.any(String) } }])
  })

  test("an unknown name is refused with the one probably meant, or else all known ones", async () => {
    const [near, far] = await Promise.all([
      command(["plugins", "fihser"]),
      command(["plugins", "nothing-like-it"]),
    ])
    expect(near).toEqual({ code: 2, stdout: "", stderr: "there is no plugin fihser; did you mean fisher?\n" })
    expect([far.code, far.stdout]).toEqual([2, ""])
    expect(far.stderr).toMatch(/^there is no plugin nothing-like-it; known: .*\brte, .*\bsentences, /)
  })
})
