import { describe, expect, test } from "bun:test"
import { answer } from "./answer.ts"
import { command, start } from "./command-line.ts"

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

describe("--device", () => {
  const planned = (...flags: readonly string[]) => [
    ...["pipeline", "quickstart.ts", "--plan", ...flags],
    ...["--device", "NVIDIA H200, driver 12.4"],
  ]

  test("is what a plan is for, where there is no such thing", async () => {
    const { code, stdout } = await command(planned("--backend", "cuda", "--precision", "tf32"))
    expect([code, stdout]).toEqual([
      0,
      expect.stringContaining("with backend cuda tf32 (NVIDIA H200, driver 12.4)"),
    ])
  })

  test.each([
    ["auto", "--device: expected its backend too, as in --backend cuda"],
    ["wasm", "--device: no bit of wasm depends on a device; leave it out"],
  ])("is refused for the backend %s", async (backend, message) => {
    const { failure } = await answer(planned("--backend", backend))
    expect((failure as Error).message).toBe(message)
  })
})

test("where no bit of a backend depends on a device, nobody is told to give one", async () => {
  const args = ["pipeline", "quickstart.ts", "--plan", "--backend", "native", "--launcher", "slurm"]
  const { code, stderr } = await start(args, undefined, { env: { CXX: "/nonexistent/c++" } }).ended
  expect([code, stderr]).toEqual([2, expect.stringContaining("the backend native cannot run here: ")])
  expect(stderr).not.toContain("--device")
})

describe("--branch of a fine-tuning run", () => {
  const run = "arm=vanilla lr=1e-3 seed=2"
  const refusal = async (at: string, ...set: readonly string[]) => {
    const { stdout, stderr, failure } = await answer([
      ...["pipeline", "quickstart.ts", "--plan", "--backend", "wasm", "--branch", at],
      ...set.flatMap((assignment) => ["--set", assignment]),
    ])
    expect([stdout, stderr]).toEqual(["", ""])
    return (failure as Error).message
  }

  test.each([
    ["lr=0", "classification: --set lr=0: lr must be positive (was 0)"],
    ["lr=1e-4,1e-3", "classification: --set lr=1e-4,1e-3: lr must be a number (was [0.0001,0.001])"],
    ["rl=1", "classification: --set rl=1: there is no option rl; did you mean lr?"],
    [
      "optimiser=adam",
      "classification: --set optimiser=adam: there is no optimiser adam; did you mean adamw?",
    ],
    [
      "optimiser=lion({ beta: 0.5 })",
      "classification: --set optimiser=lion({ beta: 0.5 }): the optimiser lion: there is no option beta; did you mean beta1?",
    ],
    [
      "samples=4",
      "classification: --set samples=4: classification has no option samples that can change during a run; for the parameter of quickstart, write --set pipeline.samples=…",
    ],
    [
      "frozen=9",
      "the pipeline cannot be built: classification: frozen must be at most 2, the number of the model's layers (was 9)",
    ],
  ])("refuses %s", async (set, message) => expect(await refusal(`${run}@50`, set)).toBe(message))

  test("refuses a step or a length that does not fit, and names what can change", async () => {
    expect(await refusal(`${run}@235`, "lr=1e-4")).toContain(
      "expected a step from 0 to 234, the end of classification",
    )
    expect(await refusal(`${run}@150`, "epochs=1")).toContain(
      "branch: with epochs=1 the run would end at step 78, before step 150",
    )
    expect(await refusal(`${run}@50`)).toBe(
      `--branch ${run}@50: expected what changes at this step, as --set name=value with clip, dropout, epochs, frozen, layerwiseDecay, lr, optimiser, parametrisation, regulariser, schedule, seed, warmupRatio`,
    )
    expect(await refusal("arm=vanila lr=1e-3 seed=2@50", "lr=1e-4")).toContain(
      "did you mean classification arm=vanilla",
    )
  })
})
