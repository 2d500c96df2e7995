import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { execFile } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const run = promisify(execFile)
const isThere = (program: string): Promise<boolean> =>
  run(program, ["--version"]).then(
    () => true,
    () => false,
  )

const [native, cross, emulated] = await Promise.all(
  ["g++", "aarch64-linux-gnu-g++", "qemu-aarch64"].map(isThere),
)

describe.skipIf(!native)("fibers", () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "kasosei-fibers-"))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const build = async (compiler: string, options: readonly string[]): Promise<string> => {
    const program = join(folder, `${compiler}${options.join("")}`)
    const sources = [`-I${join(import.meta.dir, "source")}`, join(import.meta.dir, "fibers.cpp")]
    await run(compiler, ["-std=c++17", "-ffp-contract=off", "-w", ...options, ...sources, "-o", program])
    return program
  }

  let expected: Promise<string> | undefined
  /** Digests of three results, in forward and in reverse order of threads. */
  const results = (): Promise<string> => {
    expected ??= build("g++", ["-O2"]).then(async (program) => (await run(program)).stdout)
    return expected
  }

  test("give the same bits forwards and in reverse", async () => {
    const lines = (await results()).trim().split("\n")
    expect(lines.length).toBe(6)
    expect(lines.slice(3)).toEqual(lines.slice(0, 3))
  })

  test("give the same bits without optimisation", async () => {
    expect((await run(await build("g++", ["-O0"]))).stdout).toBe(await results())
  })

  for (const options of [["-O0"], ["-O2"]]) {
    test.skipIf(!cross || !emulated)(`give the same bits on aarch64 with ${options}`, async () => {
      const program = await build("aarch64-linux-gnu-g++", ["-static", ...options])
      expect((await run("qemu-aarch64", [program])).stdout).toBe(await results())
    })
  }
})
