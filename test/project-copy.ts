/** A copy of the project in a temporary folder, for tests that write to it. Sources are copied, large folders linked. */
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

const project = join(import.meta.dir, "..")
const copied = [
  "core",
  "plugins",
  "test/core",
  "test/plugins",
  "package.json",
  "bunfig.toml",
  ".biome.json",
  ".ci",
]
const linked = ["node_modules", "test/fixtures"]

export const copyProject = async (): Promise<string> => {
  const folder = await fs.mkdtemp(join(tmpdir(), "kasosei-project-"))
  await fs.mkdir(join(folder, "test"))
  await fs.mkdir(join(folder, "pipelines"))
  for (const path of copied) await fs.cp(join(project, path), join(folder, path), { recursive: true })
  for (const path of linked) await fs.symlink(join(project, path), join(folder, path))
  return folder
}
