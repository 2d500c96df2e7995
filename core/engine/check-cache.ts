/** Which checks of files have passed, kept in the user's cache folder. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type } from "arktype"
import { userCacheFolder } from "../io/cache-folder.ts"
import { jsonFile } from "../io/package-manifest.ts"

const Keys = type("(string == 64)[]")

/** The checks that passed last; the others are made again. */
const mostKeys = 1000

const cacheFile = () => join(userCacheFolder(), "checked-files.json")

/** A missing or damaged cache is empty. */
const keys = (): readonly string[] => jsonFile<readonly string[]>(cacheFile(), Keys) ?? []

/** Whether the check of this key has passed. */
export const checkPassed = (key: string): boolean => keys().includes(key)

/** Remembers that checks passed. Without a writable cache folder, nothing is remembered. */
export const passCheck = (passed: readonly string[]): void => {
  if (passed.length === 0) return
  const kept = [...new Set([...keys(), ...passed])].slice(-mostKeys)
  const temporary = `${cacheFile()}.${process.pid}`
  try {
    mkdirSync(userCacheFolder(), { recursive: true })
    writeFileSync(temporary, JSON.stringify(kept, null, 1))
    renameSync(temporary, cacheFile())
  } catch {
    rmSync(temporary, { force: true })
  }
}
