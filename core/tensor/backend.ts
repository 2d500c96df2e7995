import { availableParallelism } from "node:os"
import { Data, Effect } from "effect"

/** A backend that cannot run here, why, and what would change that. */
export class BackendUnavailable extends Data.TaggedError("BackendUnavailable")<{
  readonly backend: string
  readonly reason: string
  readonly remedy: string
}> {
  override get message() {
    return `the backend ${this.backend} cannot run here: ${this.reason}; ${this.remedy}`
  }
}

/** What products of matrices are computed from: numbers as they are, or rounded to bfloat16 (with float32 sums). */
export const precisions = ["fp32", "bf16"] as const
export type Precision = (typeof precisions)[number]

/** How a process computes. */
export interface ComputeSettings {
  /** Threads that a backend may keep busy. */
  readonly threads: number
  readonly precision: Precision
}

/**
 * A tfjs backend as a plugin. Neither importing its file nor making this value loads its library: commands that
 * compute nothing must start at once.
 */
export interface Backend {
  readonly kind: "backend"
  /** Its name in tfjs. */
  readonly name: string
  /** One line for a list of backends. */
  readonly summary: string
  /** `auto` takes the backend of the highest rank that can run. */
  readonly rank: number
  /** What one process is known to reach in training a small encoder, flop/s: for plans, until units were timed. */
  readonly flopsPerSecond: (threads: number) => number
  readonly precisions: readonly Precision[]
  /** Whether it needs what few machines have: `auto` passes over it in silence. */
  readonly optional?: true
  /** Whether it can run here, without starting it. */
  readonly check: Effect.Effect<void, BackendUnavailable>
  /** Loads the library and registers it in tfjs, with its fused kernels; asked again, only computes differently. */
  readonly register: (computing: ComputeSettings) => Effect.Effect<void, BackendUnavailable>
}

/** Declares a backend. */
export const backend = (definition: Omit<Backend, "kind">): Backend => ({ ...definition, kind: "backend" })

/** @throws BackendUnavailable where the backend does not compute in that precision */
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

/** What results are known by: two that differ in it have other bits. */
export const arithmeticOf = (backend: string, precision: Precision): string =>
  precision === "fp32" ? backend : `${backend} ${precision}`

/**
 * Makes a backend the one that tensors are computed by, with tfjs's gradients registered.
 *
 * @param computing by default on all cores, in fp32
 */
export const startBackend = Effect.fn("startBackend")(function* (
  backend: Backend,
  { threads = availableParallelism(), precision = "fp32" }: Partial<ComputeSettings> = {},
) {
  yield* checkPrecision(backend, precision)
  // Only the package of the whole registers gradients in every runtime; tfjs-core's own bundle has none.
  const tf = yield* Effect.promise(() => import("@tensorflow/tfjs"))
  // Spares every op its debugging checks, and the console an advertisement.
  tf.enableProdMode()
  yield* backend.register({ threads, precision })
  const started = yield* Effect.promise(async () => {
    const set = await tf.setBackend(backend.name)
    await tf.ready()
    return set
  })
  if (!started) {
    return yield* new BackendUnavailable({
      backend: backend.name,
      reason: "tfjs could not initialise it",
      remedy: "see the warnings above, or choose another backend",
    })
  }
})
