/**
 * Which compiler's kernels and which products a GPU computes with. What a driver and a GPU take is known only once it
 * has been tried; it is then kept in the user's cache, so that a plan can name it without starting the GPU.
 */
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import { dirname, extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { type } from "arktype"
import { userCacheFolder } from "../../../core/io/cache-folder.ts"
import { sha256 } from "../../../core/io/digest.ts"
import { runtimeArguments } from "../../../core/io/runtime.ts"
import { blasHere } from "./blas.ts"
import { compilersFor, kernelsDigest } from "./compile.ts"
import type { CudaAddon } from "./device.ts"

/** A GPU and its driver. */
export interface KnownDevice {
  readonly gpu: string
  readonly multiprocessors: number
  /** 90 for 9.0 */
  readonly capability: number
  /** 12040 for 12.4 */
  readonly driver: number
}

/** Where the choice among the compilers and libraries that are here is kept. */
const pathFor = async (addon: CudaAddon, device: KnownDevice): Promise<string> => {
  const { gpu, multiprocessors, capability, driver } = device
  const { compilers } = await compilersFor(addon, capability, driver)
  const candidates = [
    ...[gpu, multiprocessors, capability, driver, kernelsDigest()],
    compilers.map(({ name, target, options }) => [name, target, options]),
    blasHere(addon),
  ]
  return join(userCacheFolder(), "cuda", `${sha256(JSON.stringify(candidates)).slice(0, 32)}.choice`)
}

/**
 * Keeps what was chosen, in words. Where it cannot be kept, it is found out again each time.
 *
 * @param choice undefined if nothing is to be kept
 */
export const keepChoice = async (
  addon: CudaAddon,
  device: KnownDevice,
  choice: string | undefined,
): Promise<void> => {
  const path = await pathFor(addon, device)
  if (choice === undefined) return await fs.rm(path, { force: true }).catch(() => {})
  const known = await fs.readFile(path, "utf8").catch(() => undefined)
  if (known === choice) return
  // Nodes of a cluster may share the cache, and have processes of the same number.
  const temporary = `${path}.${randomBytes(6).toString("hex")}`
  try {
    await fs.mkdir(dirname(path), { recursive: true })
    await fs.writeFile(temporary, choice)
    await fs.rename(temporary, path)
  } catch {
    await fs.rm(temporary, { force: true }).catch(() => {})
  }
}

/** What is found out: the choice in words, or why the GPU cannot be used. */
const outcome = type({ "+": "reject", choice: "string" }).or({
  "+": "reject",
  reason: "string",
  remedy: "string",
})
export type Outcome = typeof outcome.infer

/**
 * What was chosen the last time, or else is now, by a process of its own that uses the GPU for a moment.
 *
 * @param signal ends that process
 */
export const choiceOf = async (
  addon: CudaAddon,
  device: KnownDevice,
  signal: AbortSignal,
): Promise<Outcome> => {
  const known = await fs.readFile(await pathFor(addon, device), "utf8").catch(() => undefined)
  return known === undefined ? chosenElsewhere(signal) : { choice: known }
}

const chosenElsewhere = async (signal: AbortSignal): Promise<Outcome> => {
  const script = fileURLToPath(new URL(`choose${extname(fileURLToPath(import.meta.url))}`, import.meta.url))
  const child = spawn(process.execPath, runtimeArguments(script), {
    stdio: ["ignore", "pipe", "inherit"],
    signal,
  })
  let text = ""
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part
  })
  const [code, killedBy] = await new Promise<[code: number | null, signal: string | null]>(
    (resolve, reject) => {
      child.once("error", reject)
      child.once("close", (...ended) => resolve(ended))
    },
  )
  if (code !== 0) {
    const how = killedBy === null ? `ended with exit code ${code}` : `was killed by ${killedBy}`
    throw new Error(`the process that tries the GPU ${how}`)
  }
  return outcome.assert(JSON.parse(text.slice(text.lastIndexOf("\n") + 1)))
}
