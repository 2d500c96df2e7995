import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { execFile } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { Effect, Result } from "effect"
import { cudaAddon } from "../../../../plugins/backend/cuda/addon.ts"
import {
  capabilityInWords,
  compilersFor,
  imageOf,
  portableCompilers,
} from "../../../../plugins/backend/cuda/compile.ts"
import type { Compiler } from "../../../../plugins/backend/cuda/compiler.ts"
import { loadCudaAddon } from "../../../../plugins/backend/cuda/device.ts"
import { addonPath } from "../../../../plugins/backend/device/build.ts"

// Before the compilers' output is in the cache, each takes up to minutes.
setDefaultTimeout(600_000)

const run = promisify(execFile)

const kernelFolder = join(import.meta.dir, "..", "..", "..", "..", "plugins", "backend", "cuda", "kernels")
/** The names of all kernels. */
const kernels = readdirSync(kernelFolder)
  .flatMap((file) => [
    ...readFileSync(join(kernelFolder, file), "utf8").matchAll(
      /^extern "C" __global__ void (?:__launch_bounds__\(.*?\) )?(\w+)\(const /gm,
    ),
  ])
  .map(([, name]) => name!)

const addon = await Effect.runPromise(Effect.result(addonPath(cudaAddon)))
/** Of Ampere, Hopper and two of Blackwell: what compiles for each. */
const found: { readonly capability: number; readonly compiler: Compiler }[] = []
/** As PTX, by capability. */
const portable = new Map<number, Compiler | undefined>()
if (Result.isSuccess(addon)) {
  const loaded = loadCudaAddon(addon.success)
  for (const capability of [80, 90, 100, 120]) {
    const { compilers } = await compilersFor(loaded, capability, Number.POSITIVE_INFINITY)
    for (const compiler of compilers) found.push({ capability, compiler })
  }
  for (const capability of [80, 90])
    portable.set(capability, (await portableCompilers(loaded, capability))[0])
}
// What clang gives is for many capabilities.
const distinct = [
  ...new Map(found.map((each) => [`${each.compiler.name} ${each.compiler.target}`, each])).values(),
]

const ptxas = await (async () => {
  for (const program of ["ptxas", "/usr/local/cuda/bin/ptxas"]) {
    const works = await run(program, ["--version"]).then(
      () => true,
      () => false,
    )
    if (works) return program
  }
  return undefined
})()

describe("the GPU's kernels", () => {
  test("are entry points of one struct each", () => {
    expect(kernels.length).toBeGreaterThan(40)
    expect(new Set(kernels).size).toBe(kernels.length)
  })

  for (const { compiler } of distinct) {
    test(`compile by ${compiler.name} for ${compiler.target}`, async () => {
      const text = Buffer.from(await imageOf(compiler)).toString("latin1")
      expect(text).toStartWith(compiler.target.startsWith("sm_") ? "\x7fELF" : "//")
      const lacking = compiler.target.startsWith("sm_")
        ? kernels.filter((name) => !text.includes(`.text.${name}\0`))
        : kernels.filter((name) => !text.includes(`.entry ${name}(`))
      expect(lacking).toEqual([])
      // The oldest that the target has: drivers of CUDA 11.0, or 11.8, and later take it.
      if (compiler.name.startsWith("clang"))
        expect(text).toContain(`.version ${compiler.target === "compute_80" ? "7.0" : "7.8"}\n`)
    })
  }

  for (const capability of [80, 90]) {
    const ptx = portable.get(capability)
    test.skipIf(ptx === undefined || ptxas === undefined)(
      `keep everything in registers, of capability ${capabilityInWords(capability)}`,
      async () => {
        const folder = await mkdtemp(join(tmpdir(), "kasosei-ptx-"))
        try {
          const path = join(folder, "kernels.ptx")
          const text = Buffer.from(await imageOf(ptx!)).toString("latin1")
          await writeFile(path, text.replace(/\0$/, ""))
          const options = ["-v", `-arch=sm_${capability}`, path, "-o", "/dev/null"]
          const { stdout, stderr } = await run(ptxas!, options)
          const said = stdout + stderr
          expect(said.match(/0 bytes spill stores, 0 bytes spill loads/g)?.length).toBeGreaterThanOrEqual(
            kernels.length,
          )
          expect(said.match(/[1-9]\d* bytes spill/g)).toBeNull()
        } finally {
          await rm(folder, { recursive: true, force: true })
        }
      },
    )
  }
})
