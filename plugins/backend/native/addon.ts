/** The native backend's addon. */
import { execFile } from "node:child_process"
import { extname } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { runtimeArguments } from "../../../core/io/runtime.ts"
import type { Addon } from "../device/build.ts"

const run = promisify(execFile)

export const nativeAddon: Addon = {
  name: "native",
  folders: [fileURLToPath(new URL("source", import.meta.url))],
}

/**
 * The instruction set that a build of the addon is for. Another process loads it: a damaged file could end this one.
 *
 * @throws Error if it does not load
 */
export const instructionsOf = async (path: string): Promise<string> => {
  const extension = extname(fileURLToPath(import.meta.url))
  const script = fileURLToPath(new URL(`instructions${extension}`, import.meta.url))
  return (await run(process.execPath, [...runtimeArguments(script), path])).stdout
}
