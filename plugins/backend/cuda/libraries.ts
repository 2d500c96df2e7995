/**
 * NVIDIA's libraries, where they may be: none is needed to build anything, and each is opened only when it is used.
 *
 * | library                        | comes with                          |
 * | ------------------------------ | ----------------------------------- |
 * | libcuda.so.1                   | the driver                          |
 * | libnvrtc.so, libcublasLt.so    | the CUDA toolkit, PyTorch's wheels  |
 */
import { readdirSync, readFileSync } from "node:fs"
import { homedir } from "node:os"
import { isAbsolute, join } from "node:path"

/** Folders in which NVRTC and cuBLASLt are looked for first, separated by colons. */
export const librariesVariable = "KASOSEI_CUDA_LIBRARIES"

/** What decides where libraries are: that of this process, and other surroundings in tests. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The names of what is in a folder; none if there is no such folder. */
  readonly namesIn: (folder: string) => readonly string[]
  /** The text of the loader's cache, in which every name ends with 0. */
  readonly cache: string
  readonly home: string
  /** The folder in which the process runs. */
  readonly folder: string
}

const namesHere = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

const cacheHere = (): string => {
  try {
    return readFileSync("/etc/ld.so.cache", "latin1")
  } catch {
    return ""
  }
}

const here = (): Surroundings => ({
  environment: process.env,
  namesIn: namesHere,
  cache: cacheHere(),
  home: homedir(),
  folder: process.cwd(),
})

const foldersIn = ({ environment }: Surroundings, variable: string): readonly string[] =>
  (environment[variable] ?? "").split(":").filter((folder) => isAbsolute(folder))

const multiarch = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu"

/** Where the loader looks, besides the folders that its configuration names. */
const loaderFolders = (at: Surroundings): readonly string[] => [
  ...foldersIn(at, "LD_LIBRARY_PATH"),
  ...["/lib", "/usr/lib"].map((folder) => join(folder, multiarch)),
  ...["/lib64", "/usr/lib64", "/lib", "/usr/lib"],
]

/** Where containers, Windows' Linux and NixOS have the driver's libraries, which not every loader is told. */
const driverFolders = ["/usr/local/nvidia/lib64", "/usr/lib/wsl/lib", "/run/opengl-driver/lib"]

/** Libraries of a name, newest version first: `libnvrtc.so.13` before `libnvrtc.so.12`. */
const byVersion = (paths: readonly string[]): readonly string[] => {
  const version = (path: string) => /\.so\.(\d+)/.exec(path)?.[1] ?? "0"
  return [...paths].sort((a, b) => Number(version(b)) - Number(version(a)))
}

/** Folders of the form `BASE/<what matches>/REST`, the greatest name first: `cuda-13.0` before `cuda-9.2`. */
const matching = (at: Surroundings, base: string, pattern: RegExp, rest: string): readonly string[] =>
  at
    .namesIn(base)
    .filter((name) => pattern.test(name))
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }))
    .map((name) => join(base, name, rest))

/** The folders of Python packages: of the environment in use, here, this user's, and the system's. */
const pythonFolders = (at: Surroundings): readonly string[] => {
  const { environment, home, folder } = at
  const environments = [environment["VIRTUAL_ENV"], environment["CONDA_PREFIX"], join(folder, ".venv")]
  const prefixes = [...environments, join(home, ".local"), "/usr/local", "/usr"]
  return prefixes.flatMap((prefix) =>
    prefix === undefined || !isAbsolute(prefix)
      ? []
      : ["site-packages", "dist-packages"].flatMap((packages) =>
          matching(at, join(prefix, "lib"), /^python3(\.\d+)?$/, packages),
        ),
  )
}

/** Where toolkits, conda's packages and PyTorch's wheels have their libraries. */
const toolkitFolders = (at: Surroundings): readonly string[] => [
  ...["CUDA_HOME", "CUDA_PATH", "CONDA_PREFIX"].flatMap((variable) =>
    foldersIn(at, variable).flatMap((folder) => ["lib64", "lib"].map((name) => join(folder, name))),
  ),
  ...["/usr/local", "/opt"].flatMap((base) => matching(at, base, /^cuda(-[\d.]+)?$/, "lib64")),
  ...pythonFolders(at).flatMap((packages) => matching(at, join(packages, "nvidia"), /^\w+$/, "lib")),
]

/** The driver's library: by its name if the loader finds it so, else by its path. Undefined if there is none. */
export const driverLibrary = (at = here()): string | undefined => {
  if (process.platform !== "linux") return undefined
  const name = "libcuda.so.1"
  const isIn = (folder: string) => at.namesIn(folder).includes(name)
  if (at.cache.includes(`${name}\0`) || loaderFolders(at).some(isIn)) return name
  const folder = driverFolders.find(isIn)
  return folder === undefined ? undefined : join(folder, name)
}

/** All libraries of a name, such as `libnvrtc`: in the order in which they are tried. */
export const librariesNamed = (name: string, at = here()): readonly string[] => {
  const pattern = new RegExp(`^${name}\\.so\\.\\d+$`)
  const inFolder = (folder: string) =>
    byVersion(at.namesIn(folder).filter((file) => pattern.test(file))).map((file) => join(folder, file))
  const cached = byVersion([...new Set(at.cache.match(new RegExp(`${name}\\.so\\.\\d+(?=\\0)`, "g")))])
  return [
    ...new Set([
      ...foldersIn(at, librariesVariable).flatMap(inFolder),
      ...foldersIn(at, "LD_LIBRARY_PATH").flatMap(inFolder),
      ...cached,
      ...toolkitFolders(at).flatMap(inFolder),
      ...[...loaderFolders(at), ...driverFolders].flatMap(inFolder),
    ]),
  ]
}
