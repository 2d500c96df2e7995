import { describe, expect, test } from "bun:test"
import { dirname } from "node:path"
import {
  driverLibrary,
  librariesNamed,
  type Surroundings,
} from "../../../../plugins/backend/cuda/libraries.ts"

const multiarch = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu"

/** A file system that has only these files, and what else is given. */
const surroundings = (files: readonly string[], given: Partial<Surroundings> = {}): Surroundings => {
  const folders = new Map<string, Set<string>>()
  for (const file of files) {
    for (let path = file; path !== "/"; path = dirname(path)) {
      const folder = dirname(path)
      folders.set(folder, (folders.get(folder) ?? new Set()).add(path.slice(folder.length).replace("/", "")))
    }
  }
  return {
    environment: {},
    namesIn: (folder) => [...(folders.get(folder) ?? [])],
    cache: "",
    home: "/home/ada",
    folder: "/home",
    ...given,
  }
}

describe("libraries of the toolkit", () => {
  test("are tried in this order: named folders, the loader's, environments, toolkits, Python's packages", () => {
    const site = "site-packages/nvidia"
    const inOrder = [
      "/own/libnvrtc.so.12",
      "/of/loader/libnvrtc.so.12",
      "libnvrtc.so.12",
      "/home/cuda/lib64/libnvrtc.so.12",
      "/path/cuda/lib64/libnvrtc.so.12",
      "/path/cuda/lib/libnvrtc.so.12",
      "/conda/lib/libnvrtc.so.12",
      "/usr/local/cuda-13.0/lib64/libnvrtc.so.13",
      "/usr/local/cuda-12.4/lib64/libnvrtc.so.12",
      "/usr/local/cuda-9.2/lib64/libnvrtc.so.9",
      "/usr/local/cuda/lib64/libnvrtc.so.12",
      "/opt/cuda/lib64/libnvrtc.so.12",
      `/venv/lib/python3.12/${site}/cuda_nvrtc/lib/libnvrtc.so.12`,
      `/conda/lib/python3.11/${site}/cuda_nvrtc/lib/libnvrtc.so.12`,
      `/home/.venv/lib/python3.13/${site}/cu13/lib/libnvrtc.so.13`,
      `/home/ada/.local/lib/python3.11/${site}/cuda_nvrtc/lib/libnvrtc.so.12`,
      `/usr/local/lib/python3.11/dist-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12`,
      `/usr/lib/python3/dist-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.11`,
      `/usr/lib/${multiarch}/libnvrtc.so.12`,
      "/usr/local/nvidia/lib64/libnvrtc.so.12",
    ]
    const at = surroundings(
      inOrder.filter((path) => path.startsWith("/")),
      {
        environment: {
          KASOSEI_CUDA_LIBRARIES: "/empty:/own",
          LD_LIBRARY_PATH: "/of/loader",
          CUDA_HOME: "/home/cuda",
          CUDA_PATH: "/path/cuda",
          VIRTUAL_ENV: "/venv",
          CONDA_PREFIX: "/conda",
        },
        cache: "ld.so\0libnvrtc.so.12\0libm.so.6\0",
      },
    )
    expect(librariesNamed("libnvrtc", at)).toEqual(inOrder)
  })

  test("of one folder are tried newest first, each once, without those of other names and links of the linker", () => {
    const names = ["libnvrtc.so", "libnvrtc.so.9", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.12.4.127"]
    const others = ["libnvrtc-builtins.so.12", "libnvrtc.alt.so.13"]
    const at = surroundings(
      [...names, ...others].map((name) => `/own/${name}`),
      { environment: { KASOSEI_CUDA_LIBRARIES: "/own:/own", LD_LIBRARY_PATH: "/own" } },
    )
    expect(librariesNamed("libnvrtc", at)).toEqual([
      "/own/libnvrtc.so.13",
      "/own/libnvrtc.so.12",
      "/own/libnvrtc.so.9",
    ])
    expect(librariesNamed("libcublasLt", at)).toEqual([])
  })

  test("are not looked for in relative folders", () => {
    const at = surroundings(["/home/own/libnvrtc.so.12", "/own/libnvrtc.so.12"], {
      environment: {
        KASOSEI_CUDA_LIBRARIES: "own:",
        LD_LIBRARY_PATH: ":own",
        CUDA_HOME: "own",
        VIRTUAL_ENV: "own",
      },
    })
    expect(librariesNamed("libnvrtc", at)).toEqual([])
  })
})

describe.skipIf(process.platform !== "linux")("the driver's library", () => {
  test("is found in the loader's cache and folders, and not elsewhere", () => {
    expect(driverLibrary(surroundings([]))).toBeUndefined()
    expect(driverLibrary(surroundings([], { cache: "libcuda.so.1\0" }))).toBe("libcuda.so.1")
    expect(driverLibrary(surroundings([], { cache: "libcuda.so.1.1\0" }))).toBeUndefined()
    expect(driverLibrary(surroundings([`/usr/lib/${multiarch}/libcuda.so.1`]))).toBe("libcuda.so.1")
    // Where the loader may not look.
    for (const folder of ["/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/run/opengl-driver/lib"]) {
      const path = `${folder}/libcuda.so.1`
      expect(driverLibrary(surroundings([path]))).toBe(path)
      expect(driverLibrary(surroundings([path], { cache: "libcuda.so.1\0" }))).toBe("libcuda.so.1")
    }
    const own = surroundings(["/own/libcuda.so.1"])
    expect(driverLibrary(own)).toBeUndefined()
    expect(driverLibrary({ ...own, environment: { LD_LIBRARY_PATH: "/own" } })).toBe("libcuda.so.1")
    // What the toolkit gives to the linker is no driver.
    expect(driverLibrary(surroundings(["/usr/lib/libcuda.so"]))).toBeUndefined()
  })
})
