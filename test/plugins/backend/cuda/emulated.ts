import { dlopen } from "bun:ffi"
import { Effect } from "effect"
import { testVariable } from "../../../../core/cli/gpu-machine/measurements.ts"
import { type ComputeSettings, startBackend } from "../../../../core/tensor/backend.ts"
import { librariesVariable } from "../../../../plugins/backend/cuda/libraries.ts"
import { cuda } from "../../../../plugins/backend/cuda.ts"
import { emulator } from "./emulator/emulator.ts"

/** Whether a GPU is here that shall be tested. A process has one driver: then there is none that is emulated. */
export const testsGpu = process.env[testVariable] === "1"

/** The emulated GPU's libraries; undefined where they cannot be built. */
export const emulated = testsGpu ? undefined : await emulator()

/** What a process has in its environment to compute on the emulated GPU. */
export const emulatedEnvironment = (): Readonly<Record<string, string>> => ({
  LD_LIBRARY_PATH: [emulated!.folder, process.env["LD_LIBRARY_PATH"] ?? ""].filter(Boolean).join(":"),
  [librariesVariable]: emulated!.folder,
})

const given = { ...process.env }

/**
 * Starts the backend cuda on the emulated GPU in this process. Afterwards the environment is as before, so that no other
 * test finds a GPU.
 */
export const startEmulated = async (computing: Partial<ComputeSettings> = {}): Promise<void> => {
  // The loader then knows the library by its name, wherever it is.
  dlopen(emulated!.driver, { cuInit: { args: ["u32"], returns: "i32" } })
  const names = Object.keys(emulatedEnvironment())
  Object.assign(process.env, emulatedEnvironment())
  try {
    await Effect.runPromise(startBackend(cuda, computing))
  } finally {
    for (const name of names) {
      if (given[name] === undefined) delete process.env[name]
      else process.env[name] = given[name]
    }
  }
}
