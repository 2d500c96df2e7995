import { homedir } from "node:os"
import { isAbsolute, join } from "node:path"

/**
 * Where this user's files are kept that can be made again. A relative `XDG_CACHE_HOME` is ignored, as its specification
 * requires.
 */
export const userCacheFolder = (): string => {
  const given = process.env["XDG_CACHE_HOME"] ?? ""
  return join(isAbsolute(given) ? given : join(homedir(), ".cache"), "kasosei")
}
