/** The answers to wrong command lines and to requests for help. */
import { describe, expect, test } from "bun:test"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Result } from "effect"
import { CliError } from "effect/cli"
import { runCommandLine } from "../../../core/cli/command-line.ts"

/** The answer to a command line that runs nothing. */
const answer = async (line: string, columns?: number) => {
  let stdout = ""
  let stderr = ""
  const output = {
    stdout: {
      ...(columns === undefined ? {} : { columns }),
      write: (text: string) => {
        stdout += text
      },
    },
    stderr: {
      write: (text: string) => {
        stderr += text
      },
    },
  }
  const args = line.split(" ").filter((arg) => arg !== "")
  const ended = await Effect.runPromise(
    Effect.result(runCommandLine(args, output)).pipe(Effect.provide(NodeServices.layer)),
  )
  return { stdout, stderr, failure: Result.isFailure(ended) ? ended.failure : undefined }
}

test.each([
  ["", "kasosei: expected pipeline, doctor, plugins, new or bench; kasosei --help describes them"],
  ["pipelin x", "there is no command pipelin; did you mean pipeline?"],
  ["xyz", "there is no command xyz; expected pipeline, doctor, plugins, new or bench"],
  ["bench", "bun run bench: expected finetune, fisher, mlm or simcse; bun run bench --help describes them"],
  ["bench finetun", "there is no command bench finetun; did you mean finetune?"],
  ["pipeline", "expected a pipeline file: mini.ts, paper.ts, quickstart.ts or a path"],
  ["pipeline x y", 'unexpected "y"; usage: bun run pipeline [flags] <file>'],
  ["plugins --jsn", "there is no flag --jsn; did you mean --json?"],
  ["pipeline x --jbos 2", "there is no flag --jbos; did you mean --jobs?"],
  ["pipeline x --frobnicate", "there is no flag --frobnicate; bun run pipeline --help lists the flags"],
  ["pipeline x --jobs 0", '--jobs must be an integer from 1 to 1024 (was "0")'],
  ["pipeline x --jobs many", '--jobs must be an integer from 1 to 1024 (was "many")'],
  ["pipeline x --jobs 1e3", '--jobs must be an integer from 1 to 1024 (was "1e3")'],
  ["pipeline x --jobs", "--jobs needs a value: --jobs N"],
  ["pipeline x --jobs 1 --jobs 2", "expected --jobs once, found it 2 times"],
  ["pipeline x --threads 1.5", '--threads must be an integer from 1 to 1024 (was "1.5")'],
  ["pipeline x --precision fp8", '--precision must be fp32 or bf16 (was "fp8")'],
  ["pipeline x --precision bf61", '--precision must be fp32 or bf16 (was "bf61"); did you mean bf16?'],
  ["pipeline x --plan=maybe", '--plan takes no value (was "maybe")'],
  ["pipeline x --set --plan", "--set needs a value: --set name=value"],
  [
    "new probee x",
    '<stage> must be data, pretrain, finetune, probe or report (was "probee"); did you mean probe?',
  ],
  [
    "new probe",
    "<name> is missing: the plugin's name, lower case with hyphens, such as weight-norm; usage: bun run new <stage> <name>",
  ],
])("`%s` is answered in one line", async (line, message) => {
  const { stdout, stderr, failure } = await answer(line)
  expect([stdout, stderr]).toEqual(["", `${message}\n`])
  expect(CliError.isCliError(failure)).toBe(true)
})

describe("what is set for a pipeline", () => {
  const refusal = async (assignment: string) => {
    const { stdout, stderr, failure } = await answer(
      `pipeline quickstart.ts --plan --backend wasm --set ${assignment}`,
    )
    expect([stdout, stderr]).toEqual(["", ""])
    return (failure as Error).message
  }

  test.each([
    ["hidden=50", "hidden must be a multiple of 4, the number of heads, from 4 to 65536 (was 50)"],
    ["hidden=0", "hidden must be a multiple of 4, the number of heads, from 4 to 65536 (was 0)"],
    ["train=4", "train must be at least 16 (was 4)"],
    ["layers=1e9", "layers must be at most 1024 (was 1000000000)"],
    ["layers=1,2", "layers must be a number (was [1,2])"],
    ["lr=1e-5,1e-5", "lr must be a list of different values (was [0.00001,0.00001])"],
    ["seeds=", "seeds must be non-empty"],
    ["samples=257", "samples must be at most 256 (was 257)"],
  ])("%s is refused by the name of the parameter", async (assignment, problem) => {
    expect(await refusal(assignment)).toBe(`quickstart: --set ${assignment}: ${problem}`)
  })

  test("is repeated if a plugin refuses the option that it became", async () => {
    expect(await refusal("epochs=0.0001")).toMatch(
      /^the pipeline cannot be built \(with --set epochs=0\.0001\): fisher: [^\n]*$/,
    )
  })
})

test("benches name the flag whose value is wrong", async () => {
  const { failure } = await answer("bench finetune --model bas --steps 0")
  expect((failure as Error).message).toBe(`bench finetune:
  --model must be "base", "large", "medium", "mini", "small" or "tiny" (was "bas"); did you mean base?
  --steps must be at least 1 (was 0)`)
})

describe("--help", () => {
  const help = async (line: string, columns?: number) => {
    const { stdout, stderr, failure } = await answer(line, columns)
    expect([stderr, failure]).toEqual(["", undefined])
    return stdout
  }
  const widest = (text: string) => Math.max(...text.split("\n").map((line) => line.length))

  test("of a pipeline lists its parameters with their types, defaults and comments", async () => {
    const quickstart = await help("pipeline --jobs 2 quickstart.ts --help")
    expect(quickstart).toContain("quickstart: The embedded toy language, offline, in minutes\n")
    expect(quickstart).toContain("bun run pipeline quickstart.ts [--set name=value ...] [flags]\n")
    expect(quickstart).toContain(
      "\nPARAMETERS\n  layers       integer from 1 to 1024 (default 2)\n               Layers of the encoder.\n",
    )
    expect(quickstart).toContain(
      "  seeds        non-empty list of integers from 0 to 4294967295 (default 1..5)\n",
    )
    expect(quickstart).toContain("--jobs N")
    expect(widest(quickstart)).toBeLessThanOrEqual(80)
    expect(await help("pipeline mini.ts -h")).toContain("  rte          non-empty text (required)\n")
  })

  test("of a missing pipeline is refused as running it would be", async () => {
    const { stdout, failure } = await answer("pipeline quikstart.ts --help")
    expect([stdout, (failure as Error).message]).toEqual([
      "",
      "quikstart.ts: there is no such file; did you mean quickstart.ts?",
    ])
  })

  test("of a command lists its flags; values of flags are not mistaken for the pipeline file", async () => {
    const general = await help("pipeline --out x --set a=b --help")
    expect(general).toContain("bun run pipeline [flags] <file>\n")
    expect(general).toContain("Folder for artifacts and reports (default: out)\n")
    expect(general).not.toContain("--completions")
    expect(await help("--help")).toContain("--completions")
  })

  test.each([40, 80, 200])("fits a terminal of %d columns, 100 at most", async (columns) => {
    for (const line of [
      "pipeline --help",
      "pipeline quickstart.ts --help",
      "new --help",
      "bench mlm --help",
    ]) {
      expect(widest(await help(line, columns))).toBeLessThanOrEqual(Math.min(columns, 100))
    }
  })
})
