/**
 * The addon, built from its C++ sources on first use and kept in the user's cache: once for each version of the
 * sources, the compiler and the processor.
 */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import * as fs from "node:fs/promises"
import { createRequire } from "node:module"
import { availableParallelism, cpus, homedir } from "node:os"
import { dirname, isAbsolute, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Data, Effect } from "effect"
import { takeLock } from "../../../core/io/lock.ts"

const run = promisify(execFile)
const sourceFolder = fileURLToPath(new URL("source", import.meta.url))

/** The addon cannot be had here. */
export class AddonUnavailable extends Data.TaggedError("AddonUnavailable")<{
  readonly reason: string
  readonly remedy: string
  /** The compiler's first error. */
  readonly detail?: string
}> {
  override get message() {
    return `${this.reason}; ${this.remedy}`
  }
}

interface Compiler {
  readonly program: string
  readonly version: string
}

const findCompiler = async (): Promise<Compiler | undefined> => {
  const candidates = process.env["CXX"] === undefined ? ["g++", "clang++"] : [process.env["CXX"]]
  for (const program of candidates) {
    const found = await run(program, ["--version"]).catch(() => undefined)
    if (found !== undefined) return { program, version: found.stdout.split("\n", 1)[0] ?? "" }
  }
  return undefined
}

const includeFolder = (): string =>
  join(dirname(createRequire(import.meta.url).resolve("node-api-headers/package.json")), "include")

/**
 * @param target what `-march` names: `native`, or an older processor of the same kind
 */
const flagsFor = (target: string): readonly string[] => [
  "-std=c++20",
  "-O3",
  `${process.arch === "arm64" ? "-mcpu" : "-march"}=${target}`,
  // Nobody reads errno or the processor's exception flags after a square root.
  "-fno-math-errno",
  "-fno-trapping-math",
  "-ffp-contract=fast",
  "-fPIC",
  "-fvisibility=hidden",
  "-pthread",
  // The intrinsics' own headers of some compilers warn of themselves.
  "-w",
]

const linkFlags = [
  "-shared",
  "-pthread",
  ...(process.platform === "darwin" ? ["-undefined", "dynamic_lookup"] : []),
]

/** What `-march=native` depends on. */
const processor = async (): Promise<string> => {
  const info = await fs.readFile("/proc/cpuinfo", "utf8").catch(() => "")
  const features = /^(?:flags|Features)\s*:.*$/m.exec(info)?.[0] ?? ""
  return `${process.platform} ${process.arch} ${cpus()[0]?.model ?? ""} ${features}`
}

const digestOf = async (names: readonly string[], compiler: Compiler, flags: readonly string[]) => {
  const hash = createHash("sha256")
  for (const part of [compiler.program, compiler.version, await processor(), ...flags, ...linkFlags]) {
    hash.update(`${part}\0`)
  }
  for (const name of names) hash.update(`${name}\0`).update(await fs.readFile(join(sourceFolder, name)))
  return hash.digest("hex").slice(0, 32)
}

/** A relative `XDG_CACHE_HOME` does not count, as its specification says. */
const cacheFolder = (): string => {
  const given = process.env["XDG_CACHE_HOME"] ?? ""
  return join(isAbsolute(given) ? given : join(homedir(), ".cache"), "kasosei", "native")
}

const firstErrorOf = (cause: unknown): string => {
  const text = cause instanceof Error && "stderr" in cause ? String(cause.stderr) : String(cause)
  return text.split("\n").find((line) => /error/i.test(line)) ?? text.split("\n", 1)[0] ?? ""
}

/** Compiles in a folder of its own beside `path`, and puts the addon there whole. */
const compile = async (
  path: string,
  names: readonly string[],
  compiler: Compiler,
  flags: readonly string[],
) => {
  const work = await fs.mkdtemp(`${path}.`)
  try {
    const include = includeFolder()
    const waiting = names.filter((name) => name.endsWith(".cpp"))
    const objects = waiting.map((name) => join(work, `${name}.o`))
    const compileNext = async (): Promise<void> => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
        const output = join(work, `${name}.o`)
        await run(compiler.program, [...flags, `-I${include}`, "-c", join(sourceFolder, name), "-o", output])
      }
    }
    await Promise.all(Array.from({ length: availableParallelism() }, compileNext))
    const whole = join(work, "addon.node")
    await run(compiler.program, [...linkFlags, ...objects, "-o", whole])
    await fs.rename(whole, path)
  } finally {
    await fs.rm(work, { recursive: true, force: true })
  }
}

/** How often a process that waits for another one's build looks, milliseconds. */
const lookEvery = 100

/** Runs `body` in one process at a time. */
const locked = async (lock: string, body: () => Promise<void>): Promise<void> => {
  while ((await takeLock(lock)) !== undefined) {
    await new Promise((resolve) => setTimeout(resolve, lookEvery))
  }
  try {
    await body()
  } finally {
    await fs.rm(lock, { force: true })
  }
}

/**
 * The path of the addon, which is built where it is not in the cache. A build that failed is not tried again until
 * something changes.
 *
 * @param target the processor to build for, `native` by custom
 * @throws AddonUnavailable without a compiler, or where the build fails
 */
export const addonPath = Effect.fn("addonPath")(function* (target = "native") {
  const compiler = yield* Effect.promise(findCompiler)
  if (compiler === undefined) {
    return yield* new AddonUnavailable({
      reason: `no C++ compiler was found (${process.env["CXX"] ?? "g++ or clang++"})`,
      remedy: "install one, such as Debian's package g++",
    })
  }
  const flags = flagsFor(target)
  const failed = (path: string, detail: string) =>
    new AddonUnavailable({
      reason: `${compiler.program} could not build the addon`,
      remedy: `see the compiler's error with --log-level debug; remove ${path} to try again`,
      detail,
    })
  const attempt = Effect.tryPromise({
    try: async () => {
      const names = (await fs.readdir(sourceFolder)).sort()
      const folder = cacheFolder()
      const path = join(folder, `${await digestOf(names, compiler, flags)}.node`)
      const failure = `${path}.failed`
      if (existsSync(path)) return { path }
      await fs.mkdir(folder, { recursive: true })
      await locked(`${path}.lock`, async () => {
        if (existsSync(path) || existsSync(failure)) return
        console.error(`building the native backend with ${compiler.program}, once for this machine …`)
        await compile(path, names, compiler, flags).catch((cause) =>
          fs.writeFile(failure, firstErrorOf(cause)),
        )
      })
      return existsSync(path) ? { path } : { failure, detail: await fs.readFile(failure, "utf8") }
    },
    catch: (cause) =>
      new AddonUnavailable({
        reason: `the addon cannot be kept in ${cacheFolder()} (${cause instanceof Error ? cause.message : cause})`,
        remedy: "make that folder one that can be written, or set XDG_CACHE_HOME to another",
      }),
  })
  const built = yield* attempt
  if (built.path === undefined) return yield* failed(built.failure, built.detail)
  return built.path
})
