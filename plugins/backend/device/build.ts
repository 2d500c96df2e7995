/**
 * Addons, built from their C++ sources on first use and kept in the user's cache: once for each version of sources and
 * compiler and each kind of processor.
 */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import * as fs from "node:fs/promises"
import { createRequire } from "node:module"
import { availableParallelism, cpus } from "node:os"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Data, Effect } from "effect"
import { userCacheFolder } from "../../../core/io/cache-folder.ts"
import { digestFile } from "../../../core/io/digest.ts"
import { lockFile } from "../../../core/io/file-lock.ts"
import { packageFolder } from "../../../core/io/project.ts"

const run = promisify(execFile)

/** An addon: sources of its own, and those in `source` here, which all addons share. */
export interface Addon {
  /** Of its backend, for people, and for its folder in the cache. */
  readonly name: string
  /** Of its C++ sources, and of what they include. No two files of an addon have the same name. */
  readonly folders: readonly string[]
}

const sharedFolder = fileURLToPath(new URL("source", import.meta.url))

/** Where a package for machines without a compiler has its addons: those that `prebuildAddon` wrote. */
export const prebuiltFolder = join(packageFolder, "prebuilt")

/** Processors to build an addon for beforehand: the value of `-march`, with what it needs of /proc/cpuinfo; best first. */
const processors: readonly (readonly [target: string, features: readonly string[]])[] =
  process.arch === "arm64"
    ? [["generic", []]]
    : [
        [
          "x86-64-v4 -mavx512bf16",
          ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_bf16"],
        ],
        ["x86-64-v4", ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"]],
        ["x86-64-v3", ["avx2", "fma", "bmi2", "f16c"]],
      ]

const prebuiltPath = (folder: string, { name }: Addon, target: string): string =>
  join(folder, `${name}-${target.replaceAll(" -m", "-")}.node`)

/** Of an addon's builds in the package, the best for this processor. */
const prebuilt = async (addon: Addon): Promise<string | undefined> => {
  if (!existsSync(prebuiltFolder)) return undefined
  const info = await processor()
  const runs = (features: readonly string[]) => features.every((feature) => info.includes(` ${feature} `))
  return processors
    .filter(([, features]) => runs(features))
    .map(([target]) => prebuiltPath(prebuiltFolder, addon, target))
    .find((path) => existsSync(path))
}

/**
 * Builds an addon for other machines with processors of this architecture.
 *
 * @param folder becomes `prebuilt` in the folder of the package there
 * @param isPlain whether it has no use for later instructions
 * @throws AddonUnavailable
 */
export const prebuildAddon = Effect.fn("prebuildAddon")(function* (
  addon: Addon,
  folder: string,
  isPlain = false,
) {
  for (const [target] of isPlain ? processors.slice(-1) : processors) {
    const path = yield* addonPath(addon, target)
    yield* Effect.promise(() => fs.copyFile(path, prebuiltPath(folder, addon, target)))
  }
})

/** The addon cannot be built here. */
export class AddonUnavailable extends Data.TaggedError("AddonUnavailable")<{
  readonly reason: string
  readonly remedy: string
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
 * @param target the value of `-march`: `native`, or an older processor of the same architecture; further options behind it
 */
const flagsFor = (target: string): readonly string[] => [
  "-std=c++20",
  "-O3",
  ...`${process.arch === "arm64" ? "-mcpu" : "-march"}=${target}`.split(" "),
  // errno and the processor's exception flags are never read after a square root.
  "-fno-math-errno",
  "-fno-trapping-math",
  "-ffp-contract=fast",
  "-fPIC",
  "-fvisibility=hidden",
  "-pthread",
  // The intrinsics headers of some compilers cause warnings of their own.
  "-w",
]

const linkFlagsFor = (target: string): readonly string[] => [
  "-shared",
  "-pthread",
  // On another machine, the compiler's libraries may be older, or missing.
  ...(target === "native" || process.platform === "darwin" ? [] : ["-static-libstdc++", "-static-libgcc"]),
  ...(process.platform === "darwin" ? ["-undefined", "dynamic_lookup"] : []),
]

/** Everything that `-march=native` depends on. */
const processor = async (): Promise<string> => {
  const info = await fs.readFile("/proc/cpuinfo", "utf8").catch(() => "")
  const features = /^(?:flags|Features)\s*:.*$/m.exec(info)?.[0] ?? ""
  return `${process.platform} ${process.arch} ${cpus()[0]?.model ?? ""} ${features}`
}

/** The paths of all C++ sources of an addon, in the order of their names. */
const sourcesOf = async ({ folders }: Addon): Promise<readonly string[]> => {
  const paths: string[] = []
  for (const each of [sharedFolder, ...folders]) {
    for (const name of await fs.readdir(each)) paths.push(join(each, name))
  }
  return paths.sort((a, b) => (basename(a) < basename(b) ? -1 : 1))
}

const digestOf = async (
  sources: readonly string[],
  compiler: Compiler,
  flags: readonly string[],
): Promise<string> => {
  const hash = createHash("sha256")
  for (const part of [compiler.program, compiler.version, await processor(), ...flags]) {
    hash.update(`${part}\0`)
  }
  for (const path of sources) hash.update(`${basename(path)}\0`).update(await fs.readFile(path))
  return hash.digest("hex").slice(0, 32)
}

/** Of what a compiler says, the first line that reports an error; without one, the first line. */
export const firstErrorOf = (cause: unknown): string => {
  const said = cause instanceof Error && "stderr" in cause ? cause.stderr : cause
  const text = said instanceof Error ? said.message : String(said)
  return (text.split("\n").find((line) => /\berror\b/i.test(line)) ?? text.split("\n", 1)[0] ?? "").trim()
}

/** The signal that ended a compiler: Ctrl-C, which says nothing about the sources. */
const signalOf = (cause: unknown): string | undefined =>
  cause instanceof Error && "signal" in cause && typeof cause.signal === "string" ? cause.signal : undefined

/** Where the SHA-256 of an addon is, by which it is known to be whole. */
const digestPath = (path: string): string => `${path}.sha256`

/**
 * Whether there is an addon that is as it was built. One that is not must not be loaded: if it is cut off, the process
 * would crash.
 */
const isWhole = async (path: string): Promise<boolean> => {
  if (!existsSync(path)) return false
  const digest = await fs.readFile(digestPath(path), "utf8").catch(() => undefined)
  return digest === (await digestFile(path))
}

/** Compiles in a temporary folder beside `path`, and moves the finished addon there in one step. */
const compile = async (path: string, sources: readonly string[], compiler: Compiler, target: string) => {
  const flags = flagsFor(target)
  const work = await fs.mkdtemp(`${path}.`)
  try {
    const includes = [includeFolder(), ...new Set(sources.map(dirname))].map((folder) => `-I${folder}`)
    const waiting = sources.filter((source) => source.endsWith(".cpp"))
    const objectOf = (source: string) => join(work, `${basename(source)}.o`)
    const objects = waiting.map(objectOf)
    const compileNext = async (): Promise<void> => {
      for (let source = waiting.shift(); source !== undefined; source = waiting.shift()) {
        await run(compiler.program, [...flags, ...includes, "-c", source, "-o", objectOf(source)])
      }
    }
    await Promise.all(Array.from({ length: availableParallelism() }, compileNext))
    const linked = join(work, "addon.node")
    await run(compiler.program, [...linkFlagsFor(target), ...objects, "-o", linked])
    const digest = join(work, "digest")
    await fs.writeFile(digest, await digestFile(linked))
    await fs.rename(digest, digestPath(path))
    await fs.rename(linked, path)
  } finally {
    await fs.rm(work, { recursive: true, force: true })
  }
}

/**
 * The path of an addon, which came with the package, or is built if it is not in the cache, or damaged there. A failed build is not tried again
 * until the sources, the compiler or the processor change.
 *
 * @param target the processor to build for, this one by default
 * @throws AddonUnavailable if there is no compiler, or the build fails
 */
export const addonPath = Effect.fn("addonPath")(function* (addon: Addon, target = "native") {
  const found = target === "native" ? yield* Effect.promise(() => prebuilt(addon)) : undefined
  if (found !== undefined) return found
  const compiler = yield* Effect.promise(findCompiler)
  if (compiler === undefined) {
    return yield* new AddonUnavailable({
      reason: `no C++ compiler was found (expected ${process.env["CXX"] ?? "g++ or clang++"})`,
      remedy: "install one (on Debian, the package g++)",
    })
  }
  const folder = join(userCacheFolder(), addon.name)
  const notSaved = (cause: unknown) =>
    new AddonUnavailable({
      reason: `the addon cannot be saved in ${folder} (${cause instanceof Error ? cause.message : cause})`,
      remedy: "make that folder writable, or set XDG_CACHE_HOME to another",
    })
  const attempt = <A>(body: () => Promise<A>) =>
    Effect.tryPromise({
      try: body,
      catch: (cause) => {
        const signal = signalOf(cause)
        if (signal === undefined) return notSaved(cause)
        const reason = `${compiler.program} was stopped by ${signal} while it built the addon`
        return new AddonUnavailable({ reason, remedy: "try again" })
      },
    })
  const sources = yield* attempt(() => sourcesOf(addon))
  const path = join(
    folder,
    `${yield* attempt(() => digestOf(sources, compiler, [...flagsFor(target), ...linkFlagsFor(target)]))}.node`,
  )
  const failure = `${path}.failed`
  if (yield* attempt(() => isWhole(path))) return path
  const make = attempt(async () => {
    if ((await isWhole(path)) || existsSync(failure)) return
    const damaged = existsSync(path) ? `${path} is damaged: ` : ""
    await fs.rm(path, { force: true })
    console.error(
      `${damaged}building the ${addon.name} backend with ${compiler.program}, once for this machine …`,
    )
    await compile(path, sources, compiler, target).catch(async (cause) => {
      if (signalOf(cause) !== undefined) throw cause
      await fs.writeFile(failure, firstErrorOf(cause))
    })
  })
  yield* Effect.scoped(Effect.andThen(Effect.mapError(lockFile(`${path}.lock`), notSaved), make))
  if (existsSync(path)) return path
  const firstError = yield* attempt(() => fs.readFile(failure, "utf8"))
  return yield* new AddonUnavailable({
    reason: `${compiler.program} could not build the addon (${firstError})`,
    remedy: `delete ${failure} to try again`,
  })
})
