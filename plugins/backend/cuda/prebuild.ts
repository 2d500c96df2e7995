/** Compiles the kernels for machines that have no compiler of kernels. */
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { NoKernels, portableCompilers } from "./compile.ts"
import type { CudaAddon } from "./device.ts"
import { prebuiltName } from "./prebuilt.ts"

/** PTX for a capability runs on all later ones too. */
const capabilities = [80, 90] as const

/**
 * Writes PTX of the kernels into a folder.
 *
 * @throws NoKernels if no compiler that is here can make it
 */
export const prebuildKernels = async (addon: CudaAddon, folder: string): Promise<void> => {
  for (const capability of capabilities) await prebuild(addon, capability, folder)
}

const prebuild = async (addon: CudaAddon, capability: number, folder: string): Promise<void> => {
  const refusals: string[] = []
  for (const compiler of await portableCompilers(addon, capability)) {
    try {
      await fs.writeFile(join(folder, prebuiltName(compiler)), await compiler.compile())
      return
    } catch (cause) {
      refusals.push(`${compiler.name}: ${cause instanceof Error ? cause.message : cause}`)
    }
  }
  throw new NoKernels(
    `the kernels cannot be compiled for other machines: ${refusals.join("; ") || "neither clang nor NVRTC is here"}`,
    "install clang, or NVRTC (`pip install nvidia-cuda-nvrtc-cu12` has it)",
  )
}
