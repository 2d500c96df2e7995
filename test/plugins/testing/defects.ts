/** Runs a test file of things with one defect each, to see which tests find them. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const project = join(import.meta.dir, "..", "..", "..")

/** A module of the project, as an import names it. */
export const from = (path: string): string => JSON.stringify(join(project, path))

export interface Found {
  /** The titles of the tests that failed, by the name of what they test. */
  readonly failed: ReadonlyMap<string, readonly string[]>
  /** The names of those that passed all tests. */
  readonly sound: ReadonlySet<string>
  /** All that the tests printed. */
  readonly said: string
}

/**
 * @param text a test file
 * @param title what the titles of the tests begin with: the first group is the name of what is tested, the second the
 *   rest of the title
 */
export const defectsFound = (text: string, title: RegExp): Found => {
  const folder = mkdtempSync(join(tmpdir(), "kasosei-defects-"))
  try {
    writeFileSync(join(folder, "defects.test.ts"), text)
    symlinkSync(join(project, "node_modules"), join(folder, "node_modules"))
    const { stderr } = spawnSync(process.execPath, ["test"], { cwd: folder, encoding: "utf8" })
    const failed = new Map<string, string[]>()
    const sound = new Set<string>()
    for (const [, result, line] of stderr.matchAll(/^\((pass|fail)\) (.*?)(?: \[[^\]]*\])?$/gm)) {
      const [, name, rest] = title.exec(line!) ?? []
      if (name === undefined || rest === undefined) throw new Error(`not a test of a defect: ${line}`)
      if (result === "pass") sound.add(name)
      else failed.set(name, [...new Set([...(failed.get(name) ?? []), rest])])
    }
    for (const name of failed.keys()) sound.delete(name)
    return { failed, sound, said: stderr }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
