import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { emulated } from "./emulated.ts"
import type { Report } from "./every-kernel.ts"

// On a busy machine, and before the kernels are compiled for it, what takes seconds here may take minutes.
setDefaultTimeout(600_000)

const run = promisify(execFile)

/** AddressSanitizer's runtime library, which the emulator needs in the process; a bare name if there is none. */
const sanitizer = await run("g++", ["-print-file-name=libasan.so"]).then(
  ({ stdout }) => stdout.trim(),
  () => "",
)

const computed = async (settings = "", environment: Readonly<Record<string, string>> = {}) => {
  const env = { ...process.env, KASOSEI_EMULATED_CUDA: settings, ...environment }
  const { stdout } = await run(process.execPath, [join(import.meta.dir, "every-kernel.ts")], { env })
  return JSON.parse(stdout) as Report
}

describe.skipIf(emulated === undefined)("training, Gram matrices and InfoNCE by kernels of our own", () => {
  let forwards: Report

  beforeAll(async () => {
    forwards = await computed()
  })

  test("have the same bits if threads, warps and blocks run in reverse, on two processors", async () => {
    expect(Object.keys(forwards.digests)).toEqual(["fp32", "tf32", "bf16"])
    expect(new Set(Object.values(forwards.digests)).size).toBe(3)
    expect((await computed("order=reverse threads=2")).digests).toEqual(forwards.digests)
  })

  test("launch products and attention of every precision", () => {
    const expected = ["attention_32", "attention_tf32_64", "attention_bf16_64", "product_float32_64"].concat([
      "product_tf32_64",
      "product_rounded_64",
      "gram_by_tokens_64",
      "gradients_of_samples",
      "update_tensors",
    ])
    expect(Object.keys(forwards.launches)).toEqual(expect.arrayContaining(expected))
    expect(forwards.launches["cublasLtMatmul"]).toBeUndefined()
  })

  test.skipIf(!existsSync(sanitizer))(
    "read and write nothing beside their memory, by AddressSanitizer",
    async () => {
      const environment = { LD_PRELOAD: sanitizer, ASAN_OPTIONS: "detect_leaks=0" }
      const found = await computed("sanitize=1", environment)
      expect(Object.keys(found.digests)).toEqual(["fp32", "tf32", "bf16"])
      expect(found.launches).toEqual(forwards.launches)
    },
  )
})
