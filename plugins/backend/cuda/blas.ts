/** cuBLASLt, NVIDIA's matrix products: used where it is found, and our own otherwise. */
import type { CudaAddon } from "./device.ts"
import { ofDriver, outOfMemory } from "./failures.ts"
import { librariesNamed } from "./libraries.ts"

/** What there is to say about a library that was looked for. */
export interface BlasFound {
  /** `cuBLASLt 12.4.5`; undefined if none works. */
  readonly name: string | undefined
  /** Those that do not work, and why. */
  readonly refusals: readonly string[]
}

/** From the number that the library gives: `12.4.5` from 120405. */
const inWords = (version: number): string =>
  [Math.floor(version / 10_000), Math.floor(version / 100) % 100, version % 100].join(".")

const blasNamed = (version: number): string => `cuBLASLt ${inWords(version)}`

/** All that load, in the order in which they are tried. Whether they compute here is seen when one is opened. */
export const blasHere = (addon: CudaAddon): readonly string[] =>
  librariesNamed("libcublasLt").flatMap((library) => {
    try {
      return [`${library} ${blasNamed(addon.blasVersion(library))}`]
    } catch {
      return []
    }
  })

/**
 * Takes the first cuBLASLt that computes on a device that was started, for its products.
 *
 * @throws Error of the addon if the device has too little memory to see whether one does, or fails: that is not the
 *   library's refusal, and another process may find otherwise
 */
export const openBlas = (addon: CudaAddon): BlasFound => {
  const refusals: string[] = []
  for (const library of librariesNamed("libcublasLt")) {
    try {
      return { name: blasNamed(addon.openBlas(library)), refusals }
    } catch (cause) {
      if (outOfMemory(cause) || ofDriver(cause)) throw cause
      refusals.push(cause instanceof Error ? cause.message : String(cause))
    }
  }
  return { name: undefined, refusals }
}
