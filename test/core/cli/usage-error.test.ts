import { expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { CliError } from "effect/cli"
import { alternatives } from "../../../core/cli/usage-error.ts"
import { answer } from "./answer.ts"

/** The names of the TypeScript files in a folder of the project: a contributor may add some. */
const namesIn = (folder: string) =>
  readdirSync(join(import.meta.dir, "..", "..", "..", folder))
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.slice(0, -3))
    .sort()

test.each([
  [
    "",
    "kasosei: expected pipeline, doctor, plugins, status, store, new or bench; kasosei --help describes them",
  ],
  ["pipelin x", "there is no command pipelin; did you mean pipeline?"],
  ["xyz", "there is no command xyz; expected pipeline, doctor, plugins, status, store, new or bench"],
  [
    "bench",
    `bun run bench: expected ${alternatives([...namesIn("plugins/bench"), "gpu-machine"])}; bun run bench --help describes them`,
  ],
  ["bench finetun", "there is no command bench finetun; did you mean finetune?"],
  [
    "pipeline",
    `expected a pipeline file: ${namesIn("pipelines")
      .map((name) => `${name}.ts, `)
      .join("")
      .slice(0, -2)} or a path`,
  ],
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
  ["pipeline x --precision fp8", '--precision must be fp32, tf32 or bf16 (was "fp8")'],
  ["pipeline x --precision bf61", '--precision must be fp32, tf32 or bf16 (was "bf61"); did you mean bf16?'],
  ["pipeline x --plan=maybe", '--plan takes no value (was "maybe")'],
  ["pipeline x --set --plan", "--set needs a value: --set name=value"],
  [
    "new probee x",
    '<stage> must be data, pretrain, finetune, probe, report or project (was "probee"); did you mean probe?',
  ],
  [
    "new probe",
    "<name> is missing: the plugin's name, lower case with hyphens, such as weight-norm; or the project's folder; usage: bun run new <stage> <name>",
  ],
])("`%s` is answered in one line", async (line, message) => {
  const { stdout, stderr, failure } = await answer(line)
  expect([stdout, stderr]).toEqual(["", `${message}\n`])
  expect(CliError.isCliError(failure)).toBe(true)
})
