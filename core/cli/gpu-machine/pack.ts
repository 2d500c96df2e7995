/** One file that measures a machine which has only a driver: this program, its runtime, and what backends have built. */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Data, Effect } from "effect"
import { attempt, listFiles, listNames, remove } from "../../io/files.ts"
import { readManifest } from "../../io/package-manifest.ts"
import { packageFolder, packageName, version } from "../../io/project.ts"
import type { Backend } from "../../tensor/backend.ts"
import { deviceTests } from "./measurements.ts"

const run = promisify(execFile)

/** The file cannot be made here. */
export class CannotPack extends Data.TaggedError("CannotPack")<{
  readonly reason: string
  readonly remedy: string
}> {
  override get message() {
    return `the file cannot be made here: ${this.reason}; ${this.remedy}`
  }
}

const notHere = (reason: string, remedy: string) => new CannotPack({ reason, remedy })

/** Where modules are that the program finds by their folder, not by an import. */
const moduleFolders = ["core", "plugins/backend", "plugins/bench", "plugins/check"]

/** What backends have built, in the folder of the package. */
const prebuilt = "prebuilt"
const runtime = "runtime"

/** The modules that the program, its benches and checks and the tests of devices reach; relative to the package. */
const modules = Effect.gen(function* () {
  const entrypoints: string[] = []
  for (const folder of [...moduleFolders, deviceTests]) {
    for (const name of yield* listFiles(join(packageFolder, folder)))
      if (name.endsWith(".ts")) entrypoints.push(join(packageFolder, folder, name))
  }
  const built = yield* Effect.tryPromise({
    try: () =>
      Bun.build({
        entrypoints,
        root: packageFolder,
        target: "bun",
        metafile: true,
        // Also what a package says is without effect: nothing is left out of the modules that import it.
        ignoreDCEAnnotations: true,
        // Where it is not installed, its backend says so.
        external: ["@tensorflow/tfjs-node-gpu"],
      }),
    catch: (cause) => notHere(String(cause), "see that `bun install` has run"),
  })
  const base = process.cwd()
  return Object.keys(built.metafile?.inputs ?? {}).map((path) => relative(packageFolder, join(base, path)))
})

/** The manifests of the packages that modules belong to: they say which file an import means. */
const manifestsOf = (paths: readonly string[]): readonly string[] => {
  const folders = new Set<string>()
  for (const path of paths) {
    for (let folder = dirname(path); folder !== "."; folder = dirname(folder)) folders.add(folder)
  }
  return ["package.json", ...[...folders].map((folder) => join(folder, "package.json"))].filter((path) =>
    existsSync(join(packageFolder, path)),
  )
}

/** The WebAssembly that packages have beside their modules. */
const webAssemblyBeside = Effect.fnUntraced(function* (paths: readonly string[]) {
  const folders = new Set(paths.filter((path) => path.startsWith("node_modules")).map(dirname))
  const found: string[] = []
  for (const folder of folders) {
    for (const name of yield* listNames(join(packageFolder, folder)))
      if (name.endsWith(".wasm")) found.push(join(folder, name))
  }
  return found
})

/** The machine code that packages have in packages of their own, of which those for this machine are installed. */
const machineCodeOf = (manifests: readonly string[]): readonly string[] =>
  manifests.flatMap((path) =>
    Object.keys(readManifest(join(packageFolder, dirname(path)))?.optionalDependencies ?? {})
      .map((name) => join("node_modules", name))
      .filter((folder) => readManifest(join(packageFolder, folder))?.main?.endsWith(".node")),
  )

/**
 * Writes a folder from which the program runs without anything else.
 *
 * @param fixtures folders of reference figures, in the package
 */
export const stage = Effect.fn("stage")(function* (
  folder: string,
  backends: readonly Backend[],
  fixtures: readonly string[],
) {
  if (!("Bun" in globalThis)) return yield* notHere("it holds Bun, which does not run here", "run it by Bun")
  if (!existsSync(join(packageFolder, "node_modules")))
    return yield* notHere(`${packageName} is installed as a package`, "run it in a checkout")
  const paths = yield* modules
  const outside = paths.find((path) => path.startsWith(`..${sep}`))
  if (outside !== undefined)
    return yield* notHere(`${outside} is outside of the checkout`, "install packages by `bun install`")
  const built = backends.filter(({ prebuild }) => prebuild !== undefined)
  const sources = backends.flatMap(({ module, sources = [] }) =>
    sources
      .filter((source) => source.startsWith("."))
      .map((source) => relative(packageFolder, fileURLToPath(new URL(source, module)))),
  )
  const manifests = manifestsOf(paths)
  const machineCode = [...machineCodeOf(manifests), ...(yield* webAssemblyBeside(paths))]
  const copied = new Set([...paths, ...manifests, ...machineCode, ...sources, ...fixtures])
  yield* attempt("write", folder, async () => {
    for (const parent of new Set([...copied].map(dirname)))
      await fs.mkdir(join(folder, parent), { recursive: true })
    const options = { recursive: true, dereference: true } as const
    await Promise.all(
      Array.from(copied, (path) => fs.cp(join(packageFolder, path), join(folder, path), options)),
    )
    await fs.mkdir(join(folder, prebuilt), { recursive: true })
    await fs.copyFile(process.execPath, join(folder, runtime))
    await fs.chmod(join(folder, runtime), 0o755)
  })
  for (const { prebuild } of built) yield* prebuild!(join(folder, prebuilt))
})

/** The beginning of the file, which a shell runs: what follows is a packed folder. */
const script = (lines: number): string => `#!/bin/sh
# ${packageName} ${version}: measures how fast the GPU of this machine trains. Needs its driver, tar and gzip.
# sh FILE [options]; sh FILE --help lists them.
set -u
folder=$(mktemp -d "\${TMPDIR:-/tmp}/${packageName}-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tail -n +${lines} "$0" | gzip -dc | tar -xf - -C "$folder" || {
  echo "it cannot be unpacked into $folder: TMPDIR names another place, with 500 MB of room" >&2
  exit 1
}
XDG_CACHE_HOME=$folder/cache "$folder/${runtime}" "$folder/core/cli/main.ts" bench gpu-machine "$@"
exit $?
`

/** Packs a folder that {@link stage} has written. */
export const archive = (folder: string, path: string) =>
  attempt("write", path, async () => {
    const begin = script(script(0).split("\n").length)
    const packed = `${path}.tar.gz`
    try {
      await run("tar", ["-czf", packed, "--owner=0", "--group=0", "--numeric-owner", "-C", folder, "."])
      await fs.writeFile(path, Buffer.concat([Buffer.from(begin), await fs.readFile(packed)]), {
        mode: 0o755,
      })
    } finally {
      await fs.rm(packed, { force: true })
    }
    return (await fs.stat(path)).size
  })

/**
 * Makes the file.
 *
 * @returns its size, bytes
 * @throws CannotPack, or BackendUnavailable if what a backend needs cannot be built
 */
export const pack = Effect.fn("pack")(function* (
  path: string,
  backends: readonly Backend[],
  fixtures: readonly string[],
) {
  const folder = yield* Effect.acquireRelease(
    attempt("make a folder in", tmpdir(), () => fs.mkdtemp(join(tmpdir(), `${packageName}-pack-`))),
    (made) => Effect.orDie(remove(made)),
  )
  yield* stage(folder, backends, fixtures)
  return yield* archive(folder, path)
})
