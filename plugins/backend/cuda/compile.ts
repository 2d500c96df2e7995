/** The kernels, compiled for the GPU that is there, by NVRTC or clang, and kept in the user's cache. */
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Effect, Result } from "effect"
import { userCacheFolder } from "../../../core/io/cache-folder.ts"
import { sha256 } from "../../../core/io/digest.ts"
import { lockFile } from "../../../core/io/file-lock.ts"
import { firstErrorOf } from "../device/build.ts"
import type { Compiler } from "./compiler.ts"
import type { CudaAddon } from "./device.ts"
import { outOfMemory } from "./failures.ts"
import { librariesNamed, librariesVariable } from "./libraries.ts"
import { prebuiltCompilers } from "./prebuilt.ts"

const run = promisify(execFile)

const folderOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const kernelFolder = folderOf("kernels")
const sharedFolder = folderOf("../device/source")
const program = "kernels.cu"

/** Whatever the program may include, with their texts; the program first. */
const kernelFiles = (): readonly (readonly [name: string, path: string])[] => {
  const files = [kernelFolder, sharedFolder].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => /\.(cu|cuh|h)$/.test(name))
      .sort()
      .map((name) => [name, join(folder, name)] as const),
  )
  return [...files.filter(([name]) => name === program), ...files.filter(([name]) => name !== program)]
}

/**
 * NVRTC's options. Those of arithmetic are its defaults: sums of products may be fused, and all else is rounded as IEEE
 * 754 says.
 */
const nvrtcOptions = (target: string): readonly string[] => [
  `--gpu-architecture=${target}`,
  "--std=c++17",
  "--device-as-default-execution-space",
  "--fmad=true",
  "--ftz=false",
  "--prec-div=true",
  "--prec-sqrt=true",
]

/**
 * The same for clang, without any part of CUDA: if it knew of a toolkit, it would write PTX that needs a driver as new as
 * that.
 */
const clangOptions = (target: string): readonly string[] => [
  ...["-x", "cuda", "--cuda-device-only", `--cuda-gpu-arch=${target}`],
  ...["--cuda-path=/nonexistent", "-nocudainc", "-nocudalib"],
  ...["-std=c++17", "-O3", "-ffp-contract=fast", "-w"],
]

/** Tensor cores multiply bfloat16 and TF32 from here on: Ampere. */
export const leastCapability = 80
export const capabilityInWords = (capability: number): string =>
  `${Math.floor(capability / 10)}.${capability % 10}`

const nvrtcFor = (addon: CudaAddon, library: string, version: string, target: string): Compiler => {
  const options = nvrtcOptions(target)
  return {
    name: `NVRTC ${version}`,
    target,
    options,
    compile: async () => {
      const files = kernelFiles().flatMap(([name, path]) => [name, readFileSync(path, "utf8")])
      return addon.compile(library, files, options, target.startsWith("sm_"))
    },
  }
}

/**
 * Those that can compile PTX of a capability for other machines. The oldest first: a driver takes no PTX that is newer
 * than itself.
 */
export const portableCompilers = async (
  addon: CudaAddon,
  capability: number,
): Promise<readonly Compiler[]> => {
  const target = `compute_${capability}`
  const clang = await findClang()
  const libraries = librariesNamed("libnvrtc").flatMap((library) => {
    try {
      const [major = 0, minor = 0, ...targets] = addon.compilerVersion(library)
      return targets.includes(capability) ? [{ library, major, minor }] : []
    } catch {
      return []
    }
  })
  return [
    ...(clang === undefined ? [] : [clangFor(clang, capability)]),
    ...libraries
      .sort((a, b) => a.major - b.major || a.minor - b.minor)
      .map(({ library, major, minor }) => nvrtcFor(addon, library, `${major}.${minor}`, target)),
  ]
}

/** GPUs on one chip with their processor: what is compiled for one of these runs on no other of its generation. */
const onChip: readonly number[] = [87, 88, 101, 110]

/**
 * For what a compiler that knows these capabilities compiles kernels for a GPU, the best first. Machine code is for one
 * generation, from its capability on; PTX for all that come later, but a driver takes none that is newer than itself.
 */
const targetsFor = (known: readonly number[], capability: number): readonly string[] => {
  if (known.includes(capability)) return [`sm_${capability}`]
  const older = known.filter((each) => each >= leastCapability && each < capability && !onChip.includes(each))
  if (older.length === 0) return []
  const latest = Math.max(...older)
  const isOfGeneration = Math.floor(latest / 10) === Math.floor(capability / 10)
  return [...(isOfGeneration ? [`sm_${latest}`] : []), `compute_${latest}`]
}

/** Whether a driver for CUDA up to a version (12040 for 12.4) may take what an NVRTC gives. */
const takes = (driver: number, major: number, minor: number, target: string): boolean =>
  target.startsWith("sm_") ? major <= Math.floor(driver / 1000) : major * 1000 + minor * 10 <= driver

/**
 * Those that can compile for a GPU, the best first, and why the others cannot. Last come those whose kernels its driver
 * is too old for, as far as versions tell.
 *
 * @param capability 90 for 9.0
 * @param driver 12040 for 12.4
 */
export const compilersFor = async (
  addon: CudaAddon,
  capability: number,
  driver: number,
): Promise<{ readonly compilers: readonly Compiler[]; readonly refusals: string[] }> => {
  const compilers: Compiler[] = []
  const tooNew: Compiler[] = []
  const refusals: string[] = []
  const need = `${capabilityInWords(leastCapability)} or later`
  for (const library of librariesNamed("libnvrtc")) {
    try {
      const [major = 0, minor = 0, ...known] = addon.compilerVersion(library)
      const version = `${major}.${minor}`
      // Our kernels need what Ampere has.
      const targets = targetsFor(known, capability)
      if (targets.length === 0) {
        const last = capabilityInWords(Math.max(...known))
        throw new Error(
          `NVRTC ${version} compiles for no capability later than ${last}, and ${need} is needed`,
        )
      }
      for (const target of targets) {
        const list = takes(driver, major, minor, target) ? compilers : tooNew
        list.push(nvrtcFor(addon, library, version, target))
      }
    } catch (cause) {
      refusals.push(`${library} (${cause instanceof Error ? cause.message : cause})`)
    }
  }
  const clang = await findClang()
  if (clang !== undefined) compilers.push(clangFor(clang, capability))
  compilers.push(...(await prebuiltCompilers(capability)), ...tooNew)
  return { compilers, refusals }
}

interface Clang {
  readonly program: string
  readonly version: number
}

/** The first version that compiles our kernels without CUDA's headers, and the newest that is looked for. */
const [oldestClang, newestClang] = [16, 24]

const findClang = async (): Promise<Clang | undefined> => {
  const numbered = Array.from(
    { length: newestClang - oldestClang + 1 },
    (_, n) => `clang++-${newestClang - n}`,
  )
  for (const program of ["clang++", ...numbered]) {
    const found = await run(program, ["--version"]).catch(() => undefined)
    const version = Number(/version (\d+)/.exec(found?.stdout ?? "")?.[1] ?? 0)
    if (version >= oldestClang) return { program, version }
  }
  return undefined
}

/** PTX for capability 8.0 or 9.0, which later ones run too: newer targets need newer versions than most have. */
const clangFor = ({ program: command, version }: Clang, capability: number): Compiler => {
  const target = capability >= 90 ? 90 : 80
  const options = clangOptions(`sm_${target}`)
  return {
    name: `clang ${version}`,
    target: `compute_${target}`,
    options,
    compile: async () => {
      const work = await fs.mkdtemp(join(tmpdir(), "kasosei-kernels-"))
      try {
        const output = join(work, "kernels.ptx")
        const folders = [`-I${kernelFolder}`, `-I${sharedFolder}`]
        await run(command, [...options, ...folders, "-S", join(kernelFolder, program), "-o", output])
        return Buffer.concat([await fs.readFile(output), Buffer.of(0)])
      } finally {
        await fs.rm(work, { recursive: true, force: true })
      }
    },
  }
}

/** What is wrong with a kernels' compiler, for people. */
export class NoKernels extends Error {
  constructor(
    readonly reason: string,
    readonly remedy: string,
  ) {
    super(reason)
  }
}

/** @param refusals of compilers that were found, and do not do */
export const noCompiler = (refusals: readonly string[]): NoKernels => {
  const found = refusals.length === 0 ? "" : `; found ${refusals.join("; ")}`
  return new NoKernels(
    `there is no compiler for the GPU's kernels: neither NVRTC (libnvrtc.so) nor clang++ ${oldestClang} or later${found}`,
    `install the CUDA toolkit's NVRTC (\`pip install nvidia-cuda-nvrtc-cu12\` has it; ${librariesVariable} names its folder if it is in an unusual one), or clang`,
  )
}

const cachePath = (digest: string): string => join(userCacheFolder(), "cuda", `${digest}.kernels`)

/** An image as it was written: its SHA-256 comes first. Undefined if there is none, or it is damaged. */
const cached = async (path: string): Promise<Uint8Array | undefined> => {
  const bytes = await fs.readFile(path).catch(() => undefined)
  if (bytes === undefined) return undefined
  const image = bytes.subarray(64)
  return bytes.subarray(0, 64).toString("latin1") === sha256(image) ? image : undefined
}

/** In one step: the file is there when all of it is. */
const keep = async (path: string, image: Uint8Array): Promise<void> => {
  const temporary = `${path}.${randomBytes(6).toString("hex")}`
  try {
    await fs.writeFile(temporary, Buffer.concat([Buffer.from(sha256(image), "latin1"), image]))
    await fs.rename(temporary, path)
  } catch (cause) {
    await fs.rm(temporary, { force: true })
    throw cause
  }
}

const imageAt = Effect.fnUntraced(function* ({ name, target, compile }: Compiler, path: string) {
  const known = yield* Effect.promise(() => cached(path))
  if (known !== undefined) return known
  const make = async () => {
    console.error(`compiling the GPU's kernels with ${name}, once for ${target} …`)
    return compile()
  }
  const notKept = (cause: unknown) =>
    console.error(
      `the kernels cannot be kept in ${dirname(path)} (${cause instanceof Error ? cause.message : cause}), and are compiled anew by each process; make that folder writable, or set XDG_CACHE_HOME to another`,
    )
  const alone = yield* Effect.result(lockFile(`${path}.lock`))
  if (Result.isFailure(alone)) notKept(alone.failure)
  return yield* Effect.tryPromise({
    try: async () => {
      if (Result.isFailure(alone)) return make()
      const meanwhile = await cached(path)
      if (meanwhile !== undefined) return meanwhile
      const image = await make()
      await keep(path, image).catch(notKept)
      return image
    },
    catch: (cause) => cause,
  })
}, Effect.scoped)

/** Of the kernels' texts. */
export const kernelsDigest = (): string =>
  sha256(
    kernelFiles()
      .map(([name, path]) => `${name}\0${readFileSync(path, "utf8")}`)
      .join("\0"),
  )

/** What a compiler gives, from the cache or compiled now: once, if several processes ask for it. */
export const imageOf = (compiler: Compiler): Promise<Uint8Array> => {
  const { name, target, options } = compiler
  const digest = sha256([name, target, ...options, kernelsDigest()].join("\0"))
  return Effect.runPromise(imageAt(compiler, cachePath(digest.slice(0, 32))))
}

/**
 * The kernels for a GPU, compiled unless the cache has them, and loaded. Where the driver refuses what one compiler gives,
 * as a driver that is older than the compiler does, the next compiler is tried.
 *
 * @param addon with a device that was started
 * @param capability 90 for 9.0
 * @param driver 12040 for 12.4
 * @returns what compiled them, and what was refused before, with the reasons
 * @throws NoKernels if no compiler is there, or none gives kernels that load, and Error of the addon if the device has
 *   too little memory to load them
 */
export const loadKernels = async (
  addon: CudaAddon,
  capability: number,
  driver: number,
): Promise<{ readonly compiler: Compiler; readonly refusals: readonly string[] }> => {
  const { compilers, refusals } = await compilersFor(addon, capability, driver)
  for (const compiler of compilers) {
    try {
      addon.load(await imageOf(compiler))
      return { compiler, refusals }
    } catch (cause) {
      if (outOfMemory(cause)) throw cause
      refusals.push(`${compiler.name}: ${firstErrorOf(cause)}`)
    }
  }
  if (compilers.length === 0) throw noCompiler(refusals)
  throw new NoKernels(
    `the kernels do not load (${refusals.join("; ")})`,
    "update the driver, or install an NVRTC of the driver's CUDA version",
  )
}
