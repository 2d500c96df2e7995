/** The CUDA backend's addon: needs a C++ compiler to build, and nothing of CUDA. */
import { fileURLToPath } from "node:url"
import type { Addon } from "../device/build.ts"

export const cudaAddon: Addon = {
  name: "cuda",
  folder: fileURLToPath(new URL("source", import.meta.url)),
}
