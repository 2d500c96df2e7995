import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { execFile, spawn } from "node:child_process"
import { cp, mkdir, mkdtemp, readdir, rm, symlink, truncate, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { promisify } from "node:util"
import { Effect } from "effect"
import { cudaAddon } from "../../../../plugins/backend/cuda/addon.ts"
import {
  driverLibrary,
  librariesNamed,
  librariesVariable,
} from "../../../../plugins/backend/cuda/libraries.ts"
import { addonPath } from "../../../../plugins/backend/device/build.ts"
import { emulated, emulatedEnvironment } from "./emulated.ts"
import type { Outcome } from "./try-out.ts"

// On a busy machine, what takes seconds here may take minutes.
setDefaultTimeout(120_000)

const run = promisify(execFile)
const script = join(import.meta.dir, "try-out.ts")

/** Whether this machine has what the tests leave out. */
const hasGpu = driverLibrary() !== undefined
const hasNvrtc = librariesNamed("libnvrtc").length > 0

type Environment = Readonly<Record<string, string>>

const tryOut = async (how: "check" | "start" | "model", environment: Environment) => {
  const env = { ...process.env, ...environment }
  const { stdout, stderr } = await run(process.execPath, [script, how], { env })
  return { ...(JSON.parse(stdout) as Outcome), stderr }
}

describe.skipIf(emulated === undefined || hasGpu || hasNvrtc)("where something is missing, cuda", () => {
  let root: string
  /** A folder of g++ and what it calls: for the addon, and the emulator. */
  let programs: string
  /** The driver alone. */
  let driver: string
  /** The emulator without cuBLASLt. */
  let withoutBlas: string
  /** A pretended NVRTC, newer by its name than the emulated one. */
  let nvrtc: string

  const library = (source: string, output: string) =>
    run("g++", ["-shared", "-fPIC", "-w", "-x", "c++", source, "-o", output])
  /** A folder of the root, with these files. */
  const folder = async (name: string, files: Readonly<Record<string, string>> = {}) => {
    const path = join(root, name)
    await mkdir(path, { recursive: true })
    for (const [file, text] of Object.entries(files)) await writeFile(join(path, file), text)
    return path
  }

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "kasosei-missing-"))
    programs = await folder("programs")
    for (const program of ["g++", "as", "ld"]) {
      const { stdout } = await run("sh", ["-c", `command -v ${program}`])
      await symlink(stdout.trim(), join(programs, program))
    }
    driver = await folder("driver")
    await symlink(emulated!.driver, join(driver, "libcuda.so.1"))
    withoutBlas = await folder("without-blas")
    // Where the emulator keeps kernels that it has compiled.
    await mkdir(join(emulated!.folder, "kernels"), { recursive: true })
    for (const name of await readdir(emulated!.folder)) {
      if (!name.startsWith("libcublasLt"))
        await symlink(join(emulated!.folder, name), join(withoutBlas, name))
    }
    nvrtc = await folder("nvrtc")
    await library(join(import.meta.dir, "pretended-nvrtc.cpp"), join(nvrtc, "libnvrtc.so.13"))
  })
  afterAll(() => rm(root, { recursive: true, force: true }))

  const fails = async (environment: Environment, how: "check" | "start" = "check") => {
    const { message, isAbsent } = await tryOut(how, environment)
    return `${isAbsent ? "(absent) " : ""}${message}`
  }
  const cannot = "the backend cuda cannot run here:"
  const end = "or choose the backend native"

  describe("says so", () => {
    test("of the driver", async () => {
      expect(await fails({})).toBe(
        `(absent) ${cannot} NVIDIA's driver is not installed (libcuda.so.1); install it, ${end}`,
      )
      const damaged = await folder("damaged", { "libcuda.so.1": "no library" })
      const found = await fails({ LD_LIBRARY_PATH: damaged })
      expect(found).toStartWith(`${cannot} libcuda.so.1 does not load (`)
      expect(found).toEndWith(`; install NVIDIA's driver again, ${end}`)
    })

    test("of a function that an old driver lacks", async () => {
      const old = await folder("old", { "driver.cpp": 'extern "C" int cuInit(unsigned) { return 0; }' })
      await library(join(old, "driver.cpp"), join(old, "libcuda.so.1"))
      expect(await fails({ LD_LIBRARY_PATH: old })).toBe(
        `${cannot} libcuda.so.1 is too old: it has no cuDriverGetVersion; update NVIDIA's driver, ${end}`,
      )
    })

    test("of a driver that does not start, and a GPU", async () => {
      const { LD_LIBRARY_PATH = "" } = emulatedEnvironment()
      expect(await fails({ LD_LIBRARY_PATH, KASOSEI_EMULATED_CUDA: "fail=1:999" })).toBe(
        `${cannot} starting the driver: CUDA_ERROR_UNKNOWN (unknown error); see that \`nvidia-smi\` works, ${end}`,
      )
      expect(await fails({ LD_LIBRARY_PATH, KASOSEI_EMULATED_CUDA: "devices=0" })).toBe(
        `${cannot} starting the driver: CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected); see that \`nvidia-smi\` lists a GPU; a container must be given it (\`docker run --gpus all\`), ${end}`,
      )
      expect(await fails({ LD_LIBRARY_PATH, CUDA_VISIBLE_DEVICES: "" })).toBe(
        `(absent) ${cannot} CUDA_VISIBLE_DEVICES is "", which shows this process no GPU (starting the driver: CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)); name a GPU in it, or remove it, ${end}`,
      )
    })

    test("of what is in the way of a GPU", async () => {
      const { LD_LIBRARY_PATH = "" } = emulatedEnvironment()
      const failing = (code: number) => fails({ LD_LIBRARY_PATH, KASOSEI_EMULATED_CUDA: `fail=1:${code}` })
      expect(await failing(34)).toBe(
        `${cannot} starting the driver: what was found is the toolkit's library for the linker, and no driver; take the folder \`stubs\` of the CUDA toolkit out of LD_LIBRARY_PATH, and see that NVIDIA's driver is installed, ${end}`,
      )
      expect(await failing(802)).toBe(
        `${cannot} starting the driver: CUDA_ERROR_SYSTEM_NOT_READY (system not yet initialized); start what connects the GPUs of this machine (\`systemctl start nvidia-fabricmanager\`), ${end}`,
      )
    })

    test("of a GPU's capability", async () => {
      const { LD_LIBRARY_PATH = "" } = emulatedEnvironment()
      expect(await fails({ LD_LIBRARY_PATH, KASOSEI_EMULATED_CUDA: "capability=75" })).toBe(
        `${cannot} emulated CUDA device has the compute capability 7.5, and 8.0 or later is needed; use an Ampere GPU or a later one, ${end}`,
      )
    })

    test("of a compiler of kernels, already to auto", async () => {
      const environment = { LD_LIBRARY_PATH: driver, PATH: programs }
      const none = `${cannot} there is no compiler for the GPU's kernels: neither NVRTC (libnvrtc.so) nor clang++ 16 or later`
      const remedy = `install the CUDA toolkit's NVRTC (\`pip install nvidia-cuda-nvrtc-cu12\` has it; ${librariesVariable} names its folder if it is in an unusual one), or clang, ${end}`
      expect(await fails(environment)).toBe(`${none}; ${remedy}`)
      // PTX for its newest capability would run, but have no tensor cores to compute with.
      const old = await fails({ ...environment, [librariesVariable]: nvrtc, NEWEST: "75" })
      expect(old).toBe(
        `${none}; found ${nvrtc}/libnvrtc.so.13 (NVRTC 11.3 compiles for no capability later than 7.5, and 8.0 or later is needed); ${remedy}`,
      )
      const text = await folder("text", { "libnvrtc.so.12": "no library" })
      const found = await fails({ ...environment, [librariesVariable]: text })
      expect(found).toContain(`${none}; found ${text}/libnvrtc.so.12 (${text}/libnvrtc.so.12 does not load (`)
    })

    test("of memory to try kernels in, and takes no other compiler for it", async () => {
      const found = await fails(
        { ...emulatedEnvironment(), KASOSEI_EMULATED_CUDA: "memory=9437184" },
        "start",
      )
      expect(found).toStartWith(
        `${cannot} out of GPU memory: 2 MiB wanted, 1 MiB of 9 MiB free, 0 MiB in use here; end what else`,
      )
    })

    test("of memory for the start", async () => {
      const found = await fails(
        { ...emulatedEnvironment(), KASOSEI_EMULATED_CUDA: "memory=4194304" },
        "start",
      )
      expect(found).toBe(
        `${cannot} out of GPU memory: 8 MiB wanted, 4 MiB of 4 MiB free, 0 MiB in use here; end what else uses the GPU's memory: \`nvidia-smi\` lists it, ${end}`,
      )
    })
  })

  /** An empty cache but for the addon, whose build takes long. */
  const cacheOf = async (
    name: string,
  ): Promise<{ readonly kept: string; readonly environment: Environment }> => {
    const path = await Effect.runPromise(addonPath(cudaAddon))
    const kept = await folder(join(name, "kasosei", "cuda"))
    for (const file of [path, `${path}.sha256`]) await cp(file, join(kept, basename(file)))
    return { kept, environment: { XDG_CACHE_HOME: join(root, name), PATH: programs } }
  }
  const imagesIn = async (kept: string) => (await readdir(kept)).filter((name) => name.includes(".kernels"))
  const choicesIn = async (kept: string) => (await readdir(kept)).filter((name) => name.endsWith(".choice"))
  const compiled = /compiling the GPU's kernels with (NVRTC [\d.]+), once for (\w+) …/

  test("says what is wrong with kernels, and tries the next compiler", async () => {
    const { kept, environment } = await cacheOf("wrong")
    const pretended = { ...environment, LD_LIBRARY_PATH: driver, [librariesVariable]: nvrtc, NEWEST: "90" }
    expect(await fails(pretended, "start")).toBe(
      `${cannot} the kernels do not load (NVRTC 11.3: the kernels do not compile: kernels.cu(7): error: identifier "nothing" is undefined); update the driver, or install an NVRTC of the driver's CUDA version, ${end}`,
    )
    expect(await imagesIn(kept)).toEqual([])
    const both = { ...pretended, COMPILES: "1", LD_LIBRARY_PATH: emulated!.folder }
    const { message, details, model: started } = await tryOut("start", both)
    expect(message).toBe("works")
    expect(details).toContain("kernels: compiled by NVRTC 12.10 for sm_90")
    // Results are keyed by what is used in the end, before the GPU was started as well as afterwards.
    const model =
      "emulated CUDA device of 4 multiprocessors, driver 12.10, NVRTC 12.10 for sm_90, cuBLASLt 12.4.0"
    expect(started).toBe(model)
    expect((await tryOut("model", both)).model).toBe(model)
    // What was refused may be taken the next time: nothing is known for good.
    expect(await choicesIn(kept)).toEqual([])
    const plain = { ...environment, ...emulatedEnvironment() }
    expect((await tryOut("model", plain)).model).toBe(model)
    expect((await choicesIn(kept)).length).toBe(1)
    // It is known by now: another start would fail.
    const failing = { ...plain, KASOSEI_EMULATED_CUDA: "fail=15" }
    const known = await tryOut("model", failing)
    expect([known.message, known.model]).toEqual(["works", model])
    await Promise.all((await choicesIn(kept)).map((name) => rm(join(kept, name))))
    expect((await tryOut("model", failing)).message).toStartWith(
      `${cannot} starting the GPU: CUDA_ERROR_UNKNOWN (unknown error); see that \`nvidia-smi\` works, ${end}`,
    )
    // Whose kernels the driver may take comes first.
    const newerFirst = {
      ...both,
      [librariesVariable]: `${emulated!.folder}:${nvrtc}`,
      KASOSEI_EMULATED_CUDA: "driver=11080",
    }
    expect(await fails(newerFirst, "start")).toMatch(/do not load \(NVRTC 11\.3: [^;]+; NVRTC 12\.10: /)
    // The driver is older than the compiler of the kernels.
    const old = { ...environment, ...emulatedEnvironment(), KASOSEI_EMULATED_CUDA: "driver=11080" }
    expect(await fails(old, "start")).toContain(
      "the kernels do not load (NVRTC 12.10: loading the kernels: CUDA_ERROR_UNSUPPORTED_PTX_VERSION (",
    )
  })

  test("survives the process that tries the GPU, and says how that ended", async () => {
    const { kept, environment } = await cacheOf("killed")
    const killed = { ...environment, ...emulatedEnvironment(), [librariesVariable]: nvrtc, NEWEST: "90" }
    expect((await tryOut("model", { ...killed, KILLED: "1" })).message).toBe(
      `${cannot} the process that tries the GPU was killed by SIGKILL; see that \`nvidia-smi\` works, ${end}`,
    )
    expect(await choicesIn(kept)).toEqual([])
  })

  test("compiles for the newest capability that the compiler knows: of this generation, or PTX", async () => {
    const { environment } = await cacheOf("later")
    for (const [capability, target] of [
      [121, "sm_120"],
      [130, "compute_120"],
    ] as const) {
      const settings = `capability=${capability} driver=13000`
      const later = { ...environment, ...emulatedEnvironment(), KASOSEI_EMULATED_CUDA: settings }
      const { message, details } = await tryOut("start", later)
      expect(message).toBe("works")
      expect(details).toContain(`kernels: compiled by NVRTC 12.10 for ${target}`)
    }
  })

  test("computes as it is told, whatever the environment tells the libraries", async () => {
    const { environment } = await cacheOf("overrides")
    const { message, model } = await tryOut("start", {
      ...environment,
      ...emulatedEnvironment(),
      NVIDIA_TF32_OVERRIDE: "1",
      NVRTC_APPEND_FLAGS: "--unknown",
    })
    expect(message).toBe("works")
    expect(model).toEndWith(", NVRTC 12.10 for sm_90, cuBLASLt 12.4.0")
  })

  test("leaves a cuBLASLt alone that does not compute on the GPU, or not as it is told", async () => {
    for (const [products, reason] of [
      ["none", "it has no algorithm for a float32 product of [64, 64] and [64, 64]"],
      ["refused", "it has no algorithm for a float32 product of [64, 64] and [64, 64]"],
      [
        "rounded",
        "it computes a float32 product of [64, 64] and [64, 64] wrongly: 64.000000 instead of 64.031250",
      ],
    ]) {
      const settings = { KASOSEI_EMULATED_CUDA: `products=${products}` }
      const { message, details, model } = await tryOut("start", { ...emulatedEnvironment(), ...settings })
      expect(message).toBe("works")
      expect(details.at(-1)).toContain(
        `, since no cuBLASLt works here (trying ${emulated!.cublasLt}: ${reason}); the CUDA toolkit`,
      )
      expect(model).toEndWith(", own products")
    }
  })

  test("computes without cuBLASLt, and says what that costs", async () => {
    const text = await folder("broken", { "libcublasLt.so.12": "no library" })
    const environment = { LD_LIBRARY_PATH: withoutBlas, [librariesVariable]: text }
    const { message, details } = await tryOut("start", environment)
    expect(message).toBe("works")
    expect(details.at(-1)).toStartWith(
      `products: our own, which are slower in large models, since no cuBLASLt works here (${text}/libcublasLt.so.12 does not load (`,
    )
  })

  test("compiles once if two processes start together, and again if the image is damaged", async () => {
    const { kept, environment } = await cacheOf("shared")
    const here = { ...environment, ...emulatedEnvironment() }
    const both = await Promise.all([tryOut("start", here), tryOut("start", here)])
    expect(both.map(({ message }) => message)).toEqual(["works", "works"])
    expect(both.filter(({ stderr }) => compiled.test(stderr)).length).toBe(1)
    const [image = "", ...others] = await imagesIn(kept)
    expect(others).toEqual([])
    await truncate(join(kept, image), 1000)
    const again = await tryOut("start", here)
    expect([again.message, compiled.test(again.stderr)]).toEqual(["works", true])
    const known = await tryOut("start", here)
    expect([known.message, compiled.test(known.stderr)]).toEqual(["works", false])
    // Where nothing can be written, it goes without.
    await rm(join(kept, image))
    await mkdir(join(kept, image, "occupied"), { recursive: true })
    const unkept = await tryOut("start", here)
    expect(unkept.message).toBe("works")
    expect(unkept.stderr).toContain(`the kernels cannot be kept in ${kept} (`)
    expect((await readdir(kept)).filter((name) => name.includes(".kernels"))).toEqual([image])
    await mkdir(join(kept, `${image}.lock`))
    const unlocked = await tryOut("start", here)
    expect(unlocked.message).toBe("works")
    expect(unlocked.stderr).toContain(`the kernels cannot be kept in ${kept} (`)
  })

  test("leaves nothing half-written if it is stopped while it compiles", async () => {
    const { kept, environment } = await cacheOf("stopped")
    const env = { ...process.env, ...environment, ...emulatedEnvironment() }
    const slow = {
      ...env,
      [librariesVariable]: nvrtc,
      NEWEST: "90",
      COMPILES: "1",
      SECONDS_TO_COMPILE: "100",
    }
    const child = spawn(process.execPath, [script, "start"], { env: slow, detached: true })
    const ended = new Promise((resolve) => child.once("close", resolve))
    await new Promise<void>((resolve) => child.stderr.once("data", () => resolve()))
    // As Ctrl-C in a terminal does, to all of its processes.
    process.kill(-child.pid!, "SIGINT")
    await ended
    expect((await imagesIn(kept)).filter((name) => !name.endsWith(".lock"))).toEqual([])
    const { message, stderr } = await tryOut("start", { ...environment, ...emulatedEnvironment() })
    expect([message, compiled.test(stderr)]).toEqual(["works", true])
  })
})
