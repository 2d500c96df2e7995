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

const foldersIn = (variable: string): readonly string[] =>
  (process.env[variable] ?? "").split(":").filter((folder) => isAbsolute(folder))

const multiarch = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu"

/** Where the loader looks, besides the folders that its configuration names. */
const loaderFolders = (): readonly string[] => [
  ...foldersIn("LD_LIBRARY_PATH"),
  ...["/lib", "/usr/lib"].map((folder) => join(folder, multiarch)),
  ...["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/nvidia/lib64", "/usr/lib/wsl/lib"],
]

const namesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** The names of all libraries in the loader's cache, as one text. */
const loaderCache = (): string => {
  try {
    return readFileSync("/etc/ld.so.cache", "latin1")
  } catch {
    return ""
  }
}

/** Libraries of a name, newest version first: `libnvrtc.so.13` before `libnvrtc.so.12`. */
const byVersion = (paths: readonly string[]): readonly string[] => {
  const version = (path: string) => /\.so\.(\d+)/.exec(path)?.[1] ?? "0"
  return [...paths].sort((a, b) => Number(version(b)) - Number(version(a)))
}

/** Folders of the form `BASE/<what matches>/REST`, the greatest name first. */
const matching = (base: string, pattern: RegExp, rest: string): readonly string[] =>
  namesIn(base)
    .filter((name) => pattern.test(name))
    .sort()
    .reverse()
    .map((name) => join(base, name, rest))

/** The folders of Python packages: of the environment in use, here, this user's, and the system's. */
const pythonFolders = (): readonly string[] => {
  const environments = [process.env["VIRTUAL_ENV"], process.env["CONDA_PREFIX"], join(process.cwd(), ".venv")]
  const prefixes = [...environments, join(homedir(), ".local"), "/usr/local", "/usr"]
  return prefixes.flatMap((prefix) =>
    prefix === undefined
      ? []
      : ["site-packages", "dist-packages"].flatMap((packages) =>
          matching(join(prefix, "lib"), /^python3(\.\d+)?$/, packages),
        ),
  )
}

/** Where toolkits and PyTorch's wheels have their libraries. */
const toolkitFolders = (): readonly string[] => [
  ...["CUDA_HOME", "CUDA_PATH"].flatMap((variable) =>
    foldersIn(variable).map((folder) => join(folder, "lib64")),
  ),
  ...["/usr/local", "/opt"].flatMap((base) => matching(base, /^cuda(-[\d.]+)?$/, "lib64")),
  ...pythonFolders().flatMap((packages) => matching(join(packages, "nvidia"), /^\w+$/, "lib")),
]

/**
 * The driver's library, by the name under which the loader finds it; undefined if it finds none.
 *
 * @param cache the text of the loader's cache
 */
export const driverLibrary = (cache = loaderCache()): string | undefined => {
  const name = "libcuda.so.1"
  const found = cache.includes(name) || loaderFolders().some((folder) => namesIn(folder).includes(name))
  return process.platform === "linux" && found ? name : undefined
}

/**
 * All libraries of a name, such as `libnvrtc`: in the order in which they are tried.
 *
 * @param cache the text of the loader's cache
 */
export const librariesNamed = (name: string, cache = loaderCache()): readonly string[] => {
  const pattern = new RegExp(`^${name}\\.so\\.\\d+$`)
  const inFolder = (folder: string) =>
    byVersion(namesIn(folder).filter((file) => pattern.test(file))).map((file) => join(folder, file))
  const cached = byVersion([...new Set(cache.match(new RegExp(`${name}\\.so\\.\\d+(?=\\0)`, "g")))])
  return [
    ...new Set([
      ...foldersIn(librariesVariable).flatMap(inFolder),
      ...foldersIn("LD_LIBRARY_PATH").flatMap(inFolder),
      ...cached,
      ...toolkitFolders().flatMap(inFolder),
      ...loaderFolders().flatMap(inFolder),
    ]),
  ]
}
