/** cuBLASLt, NVIDIA's matrix products: used where it is found, and our own otherwise. */
import type { CudaAddon } from "./device.ts"
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

/** The first cuBLASLt for which `use`, which gives its version, does not throw. */
const firstBlas = (use: (library: string) => number): BlasFound => {
  const refusals: string[] = []
  for (const library of librariesNamed("libcublasLt")) {
    try {
      return { name: `cuBLASLt ${inWords(use(library))}`, refusals }
    } catch (cause) {
      refusals.push(cause instanceof Error ? cause.message : String(cause))
    }
  }
  return { name: undefined, refusals }
}

/** The one that would be taken. */
export const findBlas = (addon: CudaAddon): BlasFound => firstBlas((library) => addon.blasVersion(library))

/** Takes the first that works for the products of a device that was started. */
export const openBlas = (addon: CudaAddon): BlasFound => firstBlas((library) => addon.openBlas(library))
