/** cuBLASLt, NVIDIA's matrix products: used where it is found, and our own otherwise. */
import type { CudaAddon } from "./device.ts"
import { librariesNamed } from "./libraries.ts"

/** `12.4.5`, from the number that the library gives: 120405, or 11.11.3 from 111103. */
const inWords = (version: number): string =>
  [Math.floor(version / 10_000), Math.floor(version / 100) % 100, version % 100].join(".")

/** What there is to say about a library that was looked for. */
export interface BlasFound {
  /** `cuBLASLt 12.4.5`; undefined if none works. */
  readonly name: string | undefined
  /** Those that do not work, and why. */
  readonly refusals: readonly string[]
}

/** Takes the first cuBLASLt that works for the products of a device that was started. */
export const openBlas = (addon: CudaAddon): BlasFound => {
  const refusals: string[] = []
  for (const library of librariesNamed("libcublasLt")) {
    try {
      return { name: `cuBLASLt ${inWords(addon.openBlas(library))}`, refusals }
    } catch (cause) {
      refusals.push(cause instanceof Error ? cause.message : String(cause))
    }
  }
  return { name: undefined, refusals }
}
