import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { execFile } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"

// On a busy machine, what takes seconds here may take minutes.
setDefaultTimeout(120_000)

const run = promisify(execFile)
const source = join(import.meta.dir, "headers.cpp")
const declarations = join(import.meta.dir, "..", "..", "..", "..", "plugins", "backend", "cuda", "source")

/** Where toolkits and Python's packages of NVIDIA's have their headers. */
const folders = [
  ...["CUDA_HOME", "CUDA_PATH"].flatMap((variable) => process.env[variable] ?? []),
  ...(existsSync("/usr/local") ? readdirSync("/usr/local") : [])
    .filter((name) => /^cuda(-[\d.]+)?$/.test(name))
    .map((name) => join("/usr/local", name)),
]
  .map((toolkit) => join(toolkit, "include"))
  .filter((folder) => existsSync(folder))

const compiler = await run("g++", ["--version"]).then(
  () => true,
  () => false,
)

/** What g++ says of our declarations beside NVIDIA's: nothing if they agree. */
const disagreements = async (which: string): Promise<string> => {
  const include = [declarations, ...folders].map((folder) => `-I${folder}`)
  const options = ["-fsyntax-only", "-std=c++20", `-DCHECK_${which}`, ...include]
  return run("g++", [...options, source]).then(
    () => "",
    ({ stderr }: { readonly stderr: string }) => stderr,
  )
}

const headers = [
  ["DRIVER", "cuda.h"],
  ["NVRTC", "nvrtc.h"],
  ["CUBLASLT", "cublasLt.h"],
] as const

describe("our declarations of NVIDIA's libraries", () => {
  for (const [which, header] of headers) {
    const found = folders.some((folder) => existsSync(join(folder, header)))
    const reason = found ? "" : " (no toolkit is here that has it: CUDA_HOME would name one)"
    test.skipIf(!compiler || !found)(`agree with ${header}${reason}`, async () => {
      expect(await disagreements(which)).toBe("")
    })
  }
})
