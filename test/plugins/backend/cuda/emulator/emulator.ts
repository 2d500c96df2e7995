/**
 * A CUDA device without a GPU: libraries under the names of the real ones, which do on the processor what the real ones
 * do, and check every call. Built by g++ on first use and kept in the user's cache, once for each version of sources and
 * compiler.
 *
 * What they are told, by `KASOSEI_EMULATED_CUDA` when they are loaded or by `emulated_cuda_control` of the driver, is
 * `key=value` pairs separated by spaces:
 *
 * | | |
 * |---|---|
 * | `order=forward\|reverse` | of blocks, warps and lanes: races show as different results |
 * | `lazy=1\|0` | whether queued work waits until somebody waits for it |
 * | `fail=N[:code]` | the Nth call of the driver from now fails, with 999 or that CUresult; 0 never does |
 * | `memory=BYTES` | the device's memory, by default 1 GiB |
 * | `capability=90` `driver=12100` `nvrtc=12100` `devices=1` | what there is, of versions that no real one has; `nvrtc` only when loaded |
 * | `products=all\|plain\|rounded\|refused\|none` | what cuBLASLt has an algorithm for: `plain` is without bias; `rounded` are those of float32, to TF32; `refused` has algorithms, with which it then does not compute |
 * | `threads=1` | host threads that run blocks, of modules loaded from then on |
 * | `sanitize=1` | kernels with AddressSanitizer; only when loaded, in a process of `sanitizing` |
 * | `dry=1\|0` | whether nothing is computed: calls are checked and counted, and all memory reads as zeros |
 * | `reset=1` | counts from zero |
 *
 * What the real libraries would take and do something undefined with is told on standard error, and ends the process with
 * status 86: a barrier that some threads do not reach, a pointer into memory that was freed, a handle that was destroyed.
 *
 * `emulated_cuda_counts` of the driver gives a JSON text with the calls by name, launches by kernel, bytes by direction,
 * what is live, what the end of a context had to free, and the peak of memory.
 */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import * as fs from "node:fs/promises"
import { availableParallelism } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { userCacheFolder } from "../../../../../core/io/cache-folder.ts"

const run = promisify(execFile)
const sources = fileURLToPath(new URL("source", import.meta.url))

export interface Emulator {
  /** Where all of them are: for `LD_LIBRARY_PATH`. */
  readonly folder: string
  readonly driver: string
  readonly nvrtc: string
  readonly cublasLt: string
}

const flags = ["-std=c++17", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-pthread"]

const libraries = [
  { source: "libcuda.cpp", name: "libcuda.so.1", flags: ["-O2"] },
  { source: "libnvrtc.cpp", name: "libnvrtc.so.12", flags: ["-O2"] },
  {
    source: "libcublaslt.cpp",
    name: "libcublasLt.so.12",
    flags: ["-O3", `${process.arch === "arm64" ? "-mcpu" : "-march"}=native`],
  },
] as const

/** @returns undefined where there is no g++ */
export const emulator = async (): Promise<Emulator | undefined> => {
  const compiler = await run("g++", ["--version"]).catch(() => undefined)
  if (compiler === undefined || process.platform !== "linux") return undefined
  const names = (await fs.readdir(sources)).sort()
  // Kernels and products are compiled for this processor.
  const processor = /^(?:flags|Features)\s*:.*$/m.exec(await fs.readFile("/proc/cpuinfo", "utf8"))?.[0]
  const hash = createHash("sha256")
  hash.update(JSON.stringify([compiler.stdout, processor, flags, libraries, names]))
  for (const name of names) hash.update(await fs.readFile(join(sources, name)))
  const folder = join(userCacheFolder(), "emulated-cuda", hash.digest("hex").slice(0, 32))
  if (!existsSync(folder)) await build(folder, names)
  const path = (name: string): string => join(folder, name)
  return {
    folder,
    driver: path("libcuda.so.1"),
    nvrtc: path("libnvrtc.so.12"),
    cublasLt: path("libcublasLt.so.12"),
  }
}

/**
 * What a process has in its environment if its kernels are to run under AddressSanitizer, which ends it at the first
 * access out of bounds, or that is not aligned; undefined where its library is not installed.
 */
export const sanitizing = async (): Promise<Readonly<Record<string, string>> | undefined> => {
  // libstdc++ must be there before AddressSanitizer begins: it takes the place of what throws exceptions.
  const names = ["libasan.so", "libstdc++.so.6"]
  const found = await Promise.all(
    names.map((name) => run("g++", [`-print-file-name=${name}`]).catch(() => ({ stdout: "" }))),
  )
  const paths = found.map(({ stdout }) => stdout.trim())
  // Of what is not installed, the name comes back without a folder.
  if (!paths.every((path) => path.includes("/"))) return undefined
  return {
    LD_PRELOAD: paths.join(":"),
    ASAN_OPTIONS: "detect_leaks=0",
    KASOSEI_EMULATED_CUDA: "sanitize=1",
  }
}

/** The folder appears when all is in it; if another process was faster, its folder stays. */
const build = async (folder: string, names: readonly string[]): Promise<void> => {
  await fs.mkdir(dirname(folder), { recursive: true })
  const work = await fs.mkdtemp(`${folder}.`)
  try {
    // What is included when kernels are compiled.
    const headers = names.filter((name) => !name.endsWith(".cpp"))
    await Promise.all(headers.map((name) => fs.copyFile(join(sources, name), join(work, name))))
    const waiting = [...libraries]
    const compileNext = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const output = ["-o", join(work, next.name), `-Wl,-soname,${next.name}`]
        await run("g++", [...flags, ...next.flags, join(sources, next.source), ...output, "-ldl"])
      }
    }
    await Promise.all(Array.from({ length: availableParallelism() }, compileNext))
    await fs.rename(work, folder).catch((cause) => {
      if (!existsSync(folder)) throw cause
    })
  } finally {
    await fs.rm(work, { recursive: true, force: true })
  }
}
