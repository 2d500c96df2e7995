import { availableParallelism } from "node:os"
import { Data, Effect } from "effect"
import type { Device } from "../api/launcher.ts"
import type { Precision } from "../api/precision.ts"

/** A backend cannot run here: why, and what would help. */
export class BackendUnavailable extends Data.TaggedError("BackendUnavailable")<{
  readonly backend: string
  readonly reason: string
  readonly remedy: string
  /** Set if what it needs is not there at all, as on most machines: `auto` then skips it without a message. */
  readonly isAbsent?: true
}> {
  override get message() {
    return `the backend ${this.backend} cannot run here: ${this.reason}; ${this.remedy}`
  }
}

/** How a process computes. */
export interface ComputeSettings {
  /** How many threads a backend may use. */
  readonly threads: number
  readonly precision: Precision
}

/** What this process has asked of a device so far. */
export interface DeviceCounts {
  /** Kernels, products and copies. */
  readonly queued: number
  /** The most bytes of its memory that tensors have reserved. */
  readonly memory: number
}

/**
 * A tfjs backend as a plugin. Neither importing its file nor making this value loads its library: commands that
 * compute nothing must start fast.
 */
export interface Backend {
  readonly kind: "backend"
  /** Its name in tfjs. */
  readonly name: string
  /** `import.meta.url`. What its file runs is part of the keys of the artifacts that are computed on it. */
  readonly module: string
  /**
   * What decides its results besides what its file imports, as it would be imported: `./native/source`, a folder of C++
   * files; `@tensorflow/tfjs-node-gpu`, a package whose name is not in a plain import.
   */
  readonly sources?: readonly string[]
  /** One line for a list of backends. */
  readonly summary: string
  /** `auto` takes the backend of the highest rank that can run. */
  readonly rank: number
  /** The speed of one process in training an encoder, in flop/s: for plans, until units have been timed. */
  readonly flopsPerSecond: (threads: number, precision: Precision) => number
  /**
   * If it computes on a device with memory of its own, which runs behind the process: the seconds that asking for a kernel
   * takes. For plans too: a small model takes as long as asking for all of its kernels.
   */
  readonly secondsPerCall?: number
  readonly precisions: readonly Precision[]
  /** What it computes on, if that is not the processor: a launcher then gives each job one. */
  readonly device?: Device
  /** Fails if it cannot run here. Does not start it. */
  readonly check: Effect.Effect<void, BackendUnavailable>
  /** Loads the library and registers it in tfjs, with its fused kernels. Called again, it only changes the settings. */
  readonly register: (computing: ComputeSettings) => Effect.Effect<void, BackendUnavailable>
  /**
   * What decides its bits here besides its code and the precision: the model of a GPU, and the versions of libraries that
   * are not among the packages. Part of the keys of what it computes. Fails if it cannot run here.
   */
  readonly model?: Effect.Effect<string, BackendUnavailable>
  /**
   * Changes the number of threads once it is registered, between two of its kernels. No bit of a result depends on it.
   * Left out by a backend that has a fixed number of threads of its own.
   */
  readonly setThreads?: (threads: number) => Effect.Effect<void>
  /** What it found on this machine and how it uses it, a line each: for `doctor`, once it is registered. */
  readonly details?: Effect.Effect<readonly string[], BackendUnavailable>
  /** Of a device that runs behind the process, once it is registered. */
  readonly counts?: Effect.Effect<DeviceCounts>
  /**
   * Writes what it would build on its first use into a folder, for machines with processors of this architecture and no
   * compiler: `prebuilt` in the folder of this package there. Left out by a backend that builds nothing.
   */
  readonly prebuild?: (folder: string) => Effect.Effect<void, BackendUnavailable>
  /**
   * What it computes with here, registered or not: vector instructions such as `AVX-512`, or the name of a GPU. Left out
   * if it cannot tell. Fails if it cannot run after all.
   */
  readonly instructions?: Effect.Effect<string, BackendUnavailable>
}

/** Declares a backend. */
export const backend = (definition: Omit<Backend, "kind">): Backend => ({ ...definition, kind: "backend" })

/** @throws BackendUnavailable if the backend does not compute in that precision */
export const checkPrecision = (
  backend: Backend,
  precision: Precision,
): Effect.Effect<void, BackendUnavailable> =>
  backend.precisions.includes(precision)
    ? Effect.void
    : Effect.fail(
        new BackendUnavailable({
          backend: backend.name,
          reason: `it does not compute in ${precision}`,
          remedy: `choose --precision ${backend.precisions.join(" or ")}, or another backend`,
        }),
      )

/**
 * The arithmetic that results were computed with: if it differs, so do their bits. `native`, `native bf16`,
 * `cuda tf32 (NVIDIA H200 of 132 multiprocessors, …)`.
 *
 * @param model of the backend, if it has one
 */
export const arithmeticOf = (backend: string, precision: Precision, model?: string): string =>
  `${backend}${precision === "fp32" ? "" : ` ${precision}`}${model === undefined ? "" : ` (${model})`}`

/**
 * Starts a backend and makes it the current one of tfjs, with tfjs's gradients registered.
 *
 * @param computing by default all cores, in fp32
 * @throws BackendUnavailable if it cannot run here, or not in that precision
 */
export const startBackend = Effect.fn("startBackend")(function* (
  backend: Backend,
  { threads = availableParallelism(), precision = "fp32" }: Partial<ComputeSettings> = {},
) {
  yield* checkPrecision(backend, precision)
  // Only the union package registers gradients in every runtime; tfjs-core's own bundle has none.
  const tf = yield* Effect.promise(() => import("@tensorflow/tfjs"))
  // Turns off debugging checks in every op, and the advertisement that tfjs prints.
  tf.enableProdMode()
  yield* backend.register({ threads, precision })
  const unavailable = (reason: string) =>
    new BackendUnavailable({ backend: backend.name, reason, remedy: "choose another backend" })
  const started = yield* Effect.tryPromise({
    try: async () => {
      const set = await tf.setBackend(backend.name)
      await tf.ready()
      return set
    },
    // Its `register` may have registered nothing under this name.
    catch: (cause) => unavailable(`tfjs: ${cause instanceof Error ? cause.message : cause}`),
  })
  if (!started) return yield* unavailable("tfjs could not initialise it; see the warnings above")
})
