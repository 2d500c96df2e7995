import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { nativeBuilds } from "../core/tensor/every-definition.ts"
import { emulated, emulatedEnvironment } from "../plugins/backend/cuda/emulated.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(300_000)

const project = join(import.meta.dir, "..", "..")
const size = { layers: 1, hidden: 16, sentences: 200, mlmSteps: 10, simcseSteps: 5, train: 64, dev: 16 }
const seeds = { simcseSeeds: 42, seeds: 1, rankSeeds: "1,2" }
const settings = { ...size, ...seeds, lr: "1e-3,1e30", epochs: 1, samples: 4 }

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-emulated-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

interface Summary {
  readonly made: number
  readonly failures: readonly { readonly unit: string; readonly status: string; readonly reason: string }[]
}
interface Claim {
  readonly verdict: string
  readonly effect: { readonly value: number } | null
}

const run = async (
  backend: string,
  environment: Readonly<Record<string, string>> = {},
  out = join(root, backend),
) => {
  const set = Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`])
  const command = [process.execPath, "core/cli/main.ts", "pipeline", "quickstart.ts"]
  const child = Bun.spawn([...command, "--json", "--backend", backend, "--jobs", "1", "--out", out, ...set], {
    cwd: project,
    env: { ...process.env, ...environment },
    stdout: "pipe",
    stderr: "ignore",
  })
  const { made, failures }: Summary = JSON.parse(await new Response(child.stdout).text())
  const report = join(out, "quickstart", "latest", "report")
  const { claims }: { claims: readonly Claim[] } = JSON.parse(
    readFileSync(join(report, "claims.json"), "utf8"),
  )
  const provenance = readFileSync(join(report, "provenance.html"), "utf8")
  return { status: await child.exited, made, failures, claims, provenance }
}

describe.skipIf(emulated === undefined || !nativeBuilds)("a whole study on an emulated GPU", () => {
  test("ends as on native, with the same verdicts", async () => {
    const [gpu, native] = await Promise.all([run("cuda", emulatedEnvironment()), run("native")])
    expect([gpu.status, gpu.made]).toEqual([0, native.made])
    // The learning rate 1e30 diverges, which is a result.
    const outcomes = (failures: Summary["failures"]) => failures.map(({ unit, status }) => [unit, status])
    expect(outcomes(gpu.failures)).toEqual(outcomes(native.failures))
    expect(gpu.failures.map(({ status }) => status)).toContain("diverged")
    expect(gpu.claims.map(({ verdict }) => verdict)).toEqual(native.claims.map(({ verdict }) => verdict))
    for (const [i, { effect }] of gpu.claims.entries()) {
      expect(Math.abs((effect?.value ?? 0) - (native.claims[i]!.effect?.value ?? 0))).toBeLessThan(1e-3)
    }
    expect(gpu.provenance).toContain("emulated CUDA device")
  })

  test("of which a unit fails, for want of memory or by the driver, goes on with the others, and then makes the rest", async () => {
    const out = join(root, "failing")
    const failing = async (emulatedCuda: string) => {
      const ended = await run("cuda", { ...emulatedEnvironment(), KASOSEI_EMULATED_CUDA: emulatedCuda }, out)
      return { ...ended, failed: ended.failures.filter(({ status }) => status === "failed") }
    }
    const full = await failing("memory=11600000")
    expect(full.status).toBe(1)
    const [first, ...others] = full.failed
    expect(first?.reason).toMatch(
      /^out of GPU memory: \d+ MiB wanted, \d+ MiB of 12 MiB free, \d+ MiB in use here\. Use options/,
    )
    expect(others.filter(({ reason }) => !reason.startsWith("not started: it needs the output of"))).toEqual(
      [],
    )

    // From one of its calls on, all calls of a process fail. Others then make the units after that.
    const broken = await failing("fail=7500:719")
    expect(broken.status).toBe(1)
    expect(broken.failed[0]?.reason).toMatch(
      /^Error: .+: (CUDA_ERROR_LAUNCH_FAILED \(unspecified launch failure\)|CUBLAS_STATUS_EXECUTION_FAILED)/,
    )
    // One unit, in the middle: what does not need it is made.
    const own = broken.failed.filter(
      ({ reason }) => !reason.startsWith("not started: it needs the output of"),
    )
    expect(own.length).toBe(1)
    expect(broken.made).toBeGreaterThan(8)
    const whole = await failing("")
    expect([whole.status, whole.failed]).toEqual([0, []])
  })
})
