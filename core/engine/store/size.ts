import * as fs from "node:fs/promises"
import { join } from "node:path"
import { errorCode } from "../../io/files.ts"

/** The size of a file, or of a folder with everything in it. */
export interface Size {
  readonly bytes: number
  /** When the newest of it was changed, ms since 1970. */
  readonly newest: number
}

/** What is removed meanwhile does not count. Symbolic links are not followed. Rejects with what `node:fs` throws. */
export const sizeOf = async (path: string): Promise<Size> => {
  try {
    const stat = await fs.lstat(path)
    if (!stat.isDirectory()) return { bytes: stat.size, newest: stat.mtimeMs }
    const inside = await Promise.all((await fs.readdir(path)).map((name) => sizeOf(join(path, name))))
    return {
      bytes: inside.reduce((sum, { bytes }) => sum + bytes, 0),
      newest: Math.max(stat.mtimeMs, ...inside.map(({ newest }) => newest)),
    }
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return { bytes: 0, newest: 0 }
    throw cause
  }
}
