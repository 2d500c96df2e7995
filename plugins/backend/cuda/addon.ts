/** The CUDA backend's addon: needs a C++ compiler to build, and nothing of CUDA. */
import { fileURLToPath } from "node:url"
import type { Addon } from "../device/build.ts"

export const cudaAddon: Addon = {
  name: "cuda",
  // What host and kernels agree on is declared beside the kernels.
  folders: ["source", "kernels"].map((folder) => fileURLToPath(new URL(folder, import.meta.url))),
}
