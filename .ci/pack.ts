/**
 * bun .ci/pack.ts [DIR]
 *
 * Packs kasosei-VERSION.tgz into a folder, by default the current one. Modules are compiled one by one, with their
 * declarations and comments: Deno runs no TypeScript in node_modules, and keys are computed from modules.
 */
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import manifest from "../package.json" with { type: "json" }

const project = join(import.meta.dir, "..")
/** What the package holds beside its modules. Templates are texts there, for the command `new`. */
const taken = [
  "LICENSE",
  "README.md",
  "core/README.md",
  "plugins/README.md",
  "plugins/backend/cuda/kernels",
  "plugins/backend/cuda/source",
  "plugins/backend/device/source",
  "plugins/backend/native/source",
  "plugins/template",
  "test/plugins/template/project",
]

const bun = (cwd: string, ...args: readonly string[]): void => {
  const { status } = spawnSync(process.execPath, args, { cwd, stdio: "inherit" })
  if (status !== 0) throw new Error(`bun ${args[0]} ended with exit code ${status}`)
}

/** Paths of modules as they are once compiled. */
const compiled = (value: unknown): unknown => {
  if (typeof value === "string") return value.replace(/\.ts$/, ".js")
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, compiled(inner)]))
}

const into = resolve(process.argv[2] ?? ".")
const stage = mkdtempSync(join(tmpdir(), "kasosei-pack-"))
try {
  bun(
    project,
    join("node_modules", "typescript", "bin", "tsc"),
    "-p",
    ".ci/tsconfig.pack.json",
    "--outDir",
    stage,
  )
  for (const path of taken) cpSync(join(project, path), join(stage, path), { recursive: true })
  const {
    scripts: _,
    workspaces: __,
    ...kept
  } = JSON.parse(readFileSync(join(project, "package.json"), "utf8"))
  const packed = { ...kept, bin: compiled(manifest.bin), exports: compiled(manifest.exports) }
  writeFileSync(join(stage, "package.json"), `${JSON.stringify(packed, null, 2)}\n`)
  bun(stage, "pm", "pack", "--quiet", "--destination", into)
} finally {
  rmSync(stage, { recursive: true, force: true })
}
