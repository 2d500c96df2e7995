import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { spawnSync } from "node:child_process"
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { archive, stage } from "../../../../core/cli/gpu-machine/pack.ts"
import { cudaAddon } from "../../../../plugins/backend/cuda/addon.ts"
import { cuda } from "../../../../plugins/backend/cuda.ts"
import { addonPath } from "../../../../plugins/backend/device/build.ts"
import { nativeAddon } from "../../../../plugins/backend/native/addon.ts"
import { native } from "../../../../plugins/backend/native.ts"
import { emulated, emulatedEnvironment } from "../../../plugins/backend/cuda/emulated.ts"
import { nativeBuilds } from "../../tensor/every-definition.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-pack-test-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

test("a packed folder is unpacked, run with the options and removed; its exit code stays", async () => {
  const [folder, temporary] = [join(root, "small"), join(root, "tmp")]
  mkdirSync(join(folder, "core/cli"), { recursive: true })
  mkdirSync(temporary)
  writeFileSync(join(folder, "core/cli/main.ts"), "text")
  writeFileSync(join(folder, "runtime"), '#!/bin/sh\ncat "$1"\nshift\nprintf " %s" "$@"\nexit 7\n')
  chmodSync(join(folder, "runtime"), 0o755)
  const file = join(root, "measure.sh")
  const size = await Effect.runPromise(archive(folder, file))
  expect(size).toBe(readFileSync(file).length)
  const { status, stdout, stderr } = spawnSync("sh", [file, "--model", "a b"], {
    env: { PATH: "/usr/bin:/bin", TMPDIR: temporary },
    encoding: "utf8",
  })
  expect([status, stdout, stderr]).toEqual([7, "text bench gpu-machine --model a b", ""])
  expect(readdirSync(temporary)).toEqual([])

  // Cut off, as by a download that broke.
  writeFileSync(file, readFileSync(file).subarray(0, size - 100))
  const broken = spawnSync("sh", [file], {
    env: { PATH: "/usr/bin:/bin", TMPDIR: temporary },
    encoding: "utf8",
  })
  expect(broken.status).toBe(1)
  expect(broken.stderr).toContain("it cannot be unpacked into")
})

describe.skipIf(emulated === undefined || !nativeBuilds || process.arch !== "x64")("what is packed", () => {
  let folder: string
  let away: string
  beforeAll(async () => {
    folder = join(root, "whole")
    away = join(root, "away")
    mkdirSync(away)
    // Built as for this machine: the builds for others take a compiler minutes.
    const sources = [native, cuda].map(({ prebuild: _, ...backend }) => backend)
    await Effect.runPromise(stage(folder, sources, []))
    const [onGpu, onProcessor] = [
      await Effect.runPromise(addonPath(cudaAddon)),
      await Effect.runPromise(addonPath(nativeAddon, "x86-64-v3")),
    ]
    copyFileSync(onGpu, join(folder, "prebuilt", "cuda-x86-64-v3.node"))
    copyFileSync(onProcessor, join(folder, "prebuilt", "native-x86-64-v3.node"))
  })
  const run = (args: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
    spawnSync(join(folder, "runtime"), [join(folder, "core/cli/main.ts"), ...args], {
      cwd: away,
      // No program of this machine can be found, no compiler either.
      env: { PATH: "/nowhere", HOME: process.env["HOME"] ?? "", ...environment },
      encoding: "utf8",
    })

  test("computes where nothing else is, by what was built beforehand", () => {
    const { status, stdout, stderr } = run(["doctor", "--backend", "native", "--json"])
    expect([status, stderr]).toEqual([0, ""])
    expect(JSON.parse(stdout).backends).toMatchObject([{ backend: "native", works: true }])
  })

  test("measures a GPU, and says what was left out when time is over", () => {
    const small = ["--model", "tiny", "--steps", "1", "--precision", "fp32", "--processor", "none"]
    // The emulated GPU's compiler of kernels needs g++.
    const environment = { ...emulatedEnvironment(), PATH: "/usr/bin:/bin" }
    const { status, stdout, stderr } = run(
      ["bench", "gpu-machine", ...small, "--time-limit", "1s"],
      environment,
    )
    expect(stderr.split("\n").slice(0, 2)).toEqual(["1/6 doctor fp32 …", expect.stringContaining("2/6")])
    const { machine, measured } = JSON.parse(readFileSync(join(away, "gpu-machine.json"), "utf8"))
    expect(machine.cores).toBeGreaterThan(0)
    expect(measured.map(({ kind }: { readonly kind: string }) => kind)).toEqual([
      "doctor",
      ...Array.from({ length: 4 }, () => "bench"),
      "tests",
    ])
    expect(measured.at(-1).problem).toBe("there was no time left")
    expect(status).toBe(1)
    expect(stdout).toContain("tests of kernels: there was no time left")
    expect(stdout).toContain("ms/step  tokens/s")
  })

  test("times steps of a GPU, and tells what a step asks of it", () => {
    const settings = ["--model", "tiny", "--batch", "2", "--steps", "1", "--max-len", "8", "--json"]
    const environment = { ...emulatedEnvironment(), PATH: "/usr/bin:/bin" }
    const { status, stdout, stderr } = run(
      ["bench", "finetune", "--backend", "cuda", ...settings],
      environment,
    )
    expect([status, stderr]).toEqual([0, ""])
    const report = JSON.parse(stdout)
    expect(report).toMatchObject({ backend: "cuda", steps: 1, device_mib: 128 })
    expect(report.queued_per_step).toBeWithin(50, 500)
    expect(report.of_peak).toBeCloseTo(report.gflops / report.product_peak_gflops, 2)
  })
})
