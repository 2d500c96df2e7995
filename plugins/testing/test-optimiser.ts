import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as tf from "@tensorflow/tfjs-core"
import { Deferred, Effect, Fiber } from "effect"
import { Progress } from "../../core/api/progress.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { startBackend } from "../../core/tensor/backend.ts"
import {
  type Clipping,
  initialState,
  type Optimiser,
  type OptimiserStep,
  type Updated,
  updateParameters,
} from "../../core/tensor/optimiser.ts"
import { disposeGradients, Parameters } from "../../core/tensor/parameters.ts"
import { normal, stream } from "../../core/tensor/stream.ts"
import { type Training, train } from "../../core/tensor/training.ts"
import { wasm } from "../backend/wasm.ts"
import { classification } from "../finetune/classification.ts"
import { toyStudy } from "./toy-study.ts"
import { withArtifacts } from "./with-artifacts.ts"

/** One update of one parameter in float64, which changes θ in place. It may remember what the optimiser keeps. */
export type Float64Update = (
  theta: Float64Array,
  gradient: Float64Array,
  at: {
    readonly learningRate: number
    /** The number of updates done after this one: 1 in the first. */
    readonly step: number
  },
) => void

/** How an optimiser is tested. */
export interface OptimiserTest<S> {
  /** Its options as a pipeline gives them. */
  readonly options?: S
  /** One at which it learns; by default 0.01. */
  readonly learningRate?: number
  /** The same optimiser in float64: called once for each parameter, which has this shape. */
  readonly reference?: (shape: readonly number[]) => Float64Update
}

const shapes = { matrix: [3, 4], vector: [5] } as const
type Name = keyof typeof shapes
const names: readonly Name[] = ["matrix", "vector"]
const updates = 6
/** The longest that a test may take, in milliseconds. */
const longest = 120_000
/** What six updates in float32 may differ from float64, relative to 1 + |θ|. */
const tolerance = 1e-5

/** Different numbers for every parameter and iteration, [size]. */
const numbers = (what: string, name: Name, iteration: number): Float32Array => {
  const draw = { stream: stream(1, what), site: names.indexOf(name), iteration }
  return normal(draw, tf.util.sizeFromShape([...shapes[name]]), 1)
}
const parametersAtStart = (): Parameters =>
  Parameters.fromHost(
    names.map((name) => [name, { shape: shapes[name], values: numbers("start", name, 0) }] as const),
  )
const tensorOf = (what: string, name: Name, iteration: number, factor = 1): tf.Tensor =>
  tf.tensor(
    numbers(what, name, iteration).map((value) => value * factor),
    [...shapes[name]],
  )

/**
 * Registers tests that every optimiser must pass, to be called at the top of a test file. They run on the backend
 * `wasm`:
 *
 * - its name and module are well formed, its options survive JSON, and an unknown one is refused;
 * - it keeps the same tensors from update to update, in float32, disposes of nothing (but what its `updateAll` takes
 *   over) and leaves its gradient as it is;
 * - a gradient that is clipped counts as the smaller one that it is; with a learning rate of 0 nothing moves, and if the
 *   gradients' norm is not finite, nothing changes;
 * - its updates are those of its float64 reference, if there is one;
 * - trained twice, it gives the same bits, and no tensor is left over;
 * - stopped at any step and resumed from what is saved, it gives the same bits;
 * - it lowers the loss of a quadratic function, and of a toy fine-tuning.
 *
 * ```ts
 * testOptimiser(signSgd, {
 *   learningRate: 3e-3,
 *   reference: () => (theta, gradient, { learningRate }) => {
 *     for (const [i, g] of gradient.entries()) theta[i]! -= learningRate * Math.sign(g)
 *   },
 * })
 * ```
 */
export const testOptimiser = <S extends object>(
  make: (options: S) => Optimiser,
  { options = {} as S, learningRate = 0.01, reference }: OptimiserTest<S> = {},
): void => {
  const { name, role, module } = make(options)
  describe(`the optimiser ${name} keeps what optimisers promise:`, () => {
    let root: string
    let scratches = 0
    beforeAll(async () => {
      root = mkdtempSync(join(tmpdir(), `kasosei-${name}-`))
      await Effect.runPromise(startBackend(wasm))
    })
    afterAll(() => rmSync(root, { recursive: true, force: true }))

    test("its name and module are well formed; its options survive JSON, and an unknown one is refused", () => {
      expect([role, name]).toEqual(["optimiser", expect.stringMatching(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/)])
      expect(existsSync(fileURLToPath(module))).toBe(true)
      const filled = make(options).options
      expect(make(JSON.parse(JSON.stringify(filled))).options).toEqual(filled)
      expect(() => make({ ...options, "no-such-option": 1 })).toThrow(InvalidInput)
    })

    test("it keeps the same tensors from update to update, in float32, and disposes of nothing", () => {
      const optimiser = make(options)
      for (const of of names) {
        let theta = tensorOf("start", of, 0)
        let state = tf.tidy(() => optimiser.init(theta))
        const described = descriptionOf({ ...state, theta })
        for (let step = 1; step <= 3; step++) {
          const gradient = tensorOf("gradient", of, step)
          const given = { ...state, theta, gradient }
          const before = [...gradient.dataSync()]
          const next = oneStep(optimiser, {
            theta,
            gradient,
            state: state as Record<string, tf.Tensor>,
            learningRate,
            step,
          })
          const gone = Object.entries(given).flatMap(([of, tensor]) => (tensor?.isDisposed ? [of] : []))
          // `updateAll` takes over all but the gradient, and only what it returns is used from then on.
          expect("updateAll" in optimiser ? gone.filter((of) => of === "gradient") : gone).toEqual([])
          expect(Object.values(next).filter((tensor) => tensor?.isDisposed)).toEqual([])
          expect([...gradient.dataSync()]).toEqual(before)
          expect(descriptionOf(next)).toEqual(described)
          const { theta: moved, ...kept } = next
          for (const tensor of Object.values(given)) {
            if (!Object.values(next).includes(tensor)) tensor?.dispose()
          }
          theta = moved
          state = kept
        }
        tf.dispose([theta, Object.values(state)])
      }
    })

    test("a gradient that is clipped counts as the smaller one that it is", () => {
      const whole = updated(make(options), { learningRate })
      // A power of two, which changes no digit.
      const clipped = updated(make(options), { learningRate, clippedBy: 4 })
      for (const of of names) expectClose(clipped[of], Float64Array.from(whole[of]))
    })

    test("if the norm of the gradients is not finite, nothing changes", () => {
      for (const norm of [Number.NaN, Number.POSITIVE_INFINITY]) {
        const parameters = parametersAtStart()
        const optimiser = make(options)
        const state = initialState(optimiser, parameters, names)
        const valuesOf = () =>
          [parameters, ...state.values()].flatMap((set) =>
            [...set.toHost().values()].map((of) => [...of.values]),
          )
        const before = valuesOf()
        const gradients = new Map(names.map((name) => [name, tensorOf("gradient", name, 1)]))
        const clipping = { norm: tf.scalar(norm), largestNorm: 1 }
        const settings = { clipping, learningRate: () => learningRate, step: () => 1 }
        updateParameters(optimiser, parameters, gradients, state, settings)
        expect(valuesOf()).toEqual(before)
        clipping.norm.dispose()
        disposeGradients(gradients)
        for (const set of [parameters, ...state.values()]) set.dispose()
      }
    })

    test("with a learning rate of 0 nothing moves", () => {
      const still = updated(make(options), { learningRate: 0 })
      for (const of of names) expect([...still[of]]).toEqual([...numbers("start", of, 0)])
    })

    if (reference !== undefined) {
      test("its updates are those of its float64 reference", () => {
        const found = updated(make(options), { learningRate })
        for (const of of names) {
          const theta = Float64Array.from(numbers("start", of, 0))
          const update = reference(shapes[of])
          for (let step = 1; step <= updates; step++) {
            const gradient = Float64Array.from(numbers("gradient", of, step))
            update(theta, gradient, { learningRate, step })
          }
          expectClose(found[of], theta)
        }
      })
    }

    /** A training on ‖θ + noise‖², with other noise in every update. */
    const training = (scratch: string, parameters: Parameters): Training<never, never> => ({
      parameters,
      learningRates: new Float64Array(updates).fill(learningRate),
      optimiser: make(options),
      clip: 2,
      loss: (update, now) =>
        names
          .map((of): tf.Scalar => tf.sum(tf.square(tf.add(now.get(of), tensorOf("noise", of, update)))))
          .reduce((sum, term) => tf.add(sum, term)),
      scratch,
    })

    const trained = (stopAt?: number) =>
      Effect.gen(function* () {
        const scratch = join(root, `${++scratches}`)
        if (stopAt !== undefined) {
          const stopped = parametersAtStart()
          yield* stoppedAt(stopAt, train(training(scratch, stopped)))
          stopped.dispose()
          expect(readdirSync(scratch)).toEqual([`training-${stopAt}`])
        }
        const parameters = parametersAtStart()
        const { loss } = yield* train(training(scratch, parameters)).pipe(
          Effect.provideService(Progress, { report: () => Effect.void }),
        )
        const values = [...parameters.toHost().values()].map((of) => [...of.values])
        parameters.dispose()
        return { loss: [...loss], values }
      })

    test("trained twice, it gives the same bits, and no tensor is left over", async () => {
      const first = await Effect.runPromise(trained())
      const before = tf.memory().numTensors
      expect(await Effect.runPromise(trained())).toEqual(first)
      expect(tf.memory().numTensors - before).toBe(0)
    })

    test("stopped at any step and resumed from what is saved, it gives the same bits", async () => {
      const whole = await Effect.runPromise(trained())
      for (let step = 1; step < updates; step++) {
        expect([step, await Effect.runPromise(trained(step))]).toEqual([step, whole])
      }
    })

    test("it lowers the loss of a quadratic function", async () => {
      const parameters = parametersAtStart()
      const { loss } = await Effect.runPromise(
        train({
          parameters,
          learningRates: new Float64Array(100).fill(learningRate),
          optimiser: make(options),
          clip: Number.POSITIVE_INFINITY,
          loss: (_update, now) =>
            names
              .map((of): tf.Scalar => tf.mean(tf.square(now.get(of))))
              .reduce((sum, term) => tf.add(sum, term)),
          scratch: join(root, `${++scratches}`),
        }).pipe(Effect.provideService(Progress, { report: () => Effect.void })),
      )
      parameters.dispose()
      expect(loss.at(-1)!).toBeLessThan(0.9 * loss[0]!)
    })

    test(
      "it lowers the loss of a toy fine-tuning",
      () =>
        withArtifacts(async (artifactOf) => {
          const { examples: data, checkpoint } = toyStudy
          const optimiser = make(options)
          // All examples in every update, so that the losses are of the same function.
          const settings = { optimiser, lr: learningRate, seed: 1, batchSize: 24, epochs: 20, dropout: 0 }
          const { loss } = await artifactOf(classification({ data, checkpoint, ...settings }))
          expect(loss.at(-1)!).toBeLessThan(loss[0]!)
        }),
      longest,
    )
  })
}

/** Runs a training until it has reported `step` updates, and interrupts it there. */
const stoppedAt = Effect.fnUntraced(function* <A, E>(step: number, training: Effect.Effect<A, E, Progress>) {
  const reached = yield* Deferred.make<void>()
  const running = yield* Effect.forkChild(
    Effect.provideService(training, Progress, {
      report: (done: number) =>
        done === step ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void,
    }),
  )
  yield* Deferred.await(reached)
  yield* Fiber.interrupt(running)
})

/** The clipping that divides gradients by a factor; its norm is to be disposed of. */
const clippingBy = (factor: number): Clipping => ({
  norm: tf.scalar(factor),
  largestNorm: (factor + 1e-6) / factor,
})

/** An update of one parameter, without clipping. */
const oneStep = (optimiser: Optimiser, step: OptimiserStep<string>): Updated<string> =>
  tf.tidy(() =>
    "updateAll" in optimiser ? optimiser.updateAll([step], clippingBy(1))[0]! : optimiser.update(step),
  )

/** The parameters after some updates from given gradients, of which no tensor may be left over. */
const updated = (
  optimiser: Optimiser,
  { learningRate, clippedBy = 1 }: { readonly learningRate: number; readonly clippedBy?: number },
): Record<Name, Float32Array> => {
  const parameters = parametersAtStart()
  const state = initialState(optimiser, parameters, names)
  for (let step = 1; step <= updates; step++) {
    const gradients = new Map(names.map((name) => [name, tensorOf("gradient", name, step, clippedBy)]))
    const clipping = clippingBy(clippedBy)
    updateParameters(optimiser, parameters, gradients, state, {
      clipping,
      learningRate: () => learningRate,
      step: () => step,
    })
    clipping.norm.dispose()
    disposeGradients(gradients)
  }
  const host = parameters.toHost()
  for (const set of [parameters, ...state.values()]) set.dispose()
  return { matrix: host.get("matrix")!.values, vector: host.get("vector")!.values }
}

/** Name, type and shape of each tensor, in the order of the names. */
const descriptionOf = (tensors: Readonly<Record<string, tf.Tensor | undefined>>): readonly string[] =>
  Object.entries(tensors)
    .flatMap(([name, tensor]) => (tensor === undefined ? [] : [`${name}: ${tensor.dtype} [${tensor.shape}]`]))
    .sort()

const expectClose = (found: Float32Array, expected: Float64Array): void => {
  const differing = [...expected].flatMap((value, i) =>
    Math.abs(found[i]! - value) <= tolerance * (1 + Math.abs(value))
      ? []
      : [`entry ${i}: expected ${value}, found ${found[i]}`],
  )
  expect(differing).toEqual([])
}
