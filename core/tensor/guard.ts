import { crc32 } from "node:zlib"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { Guard } from "../api/watch.ts"
import { bytesOf, digestsKernel } from "./digests.ts"
import type { Parameters } from "./parameters.ts"

/** What probes can reach of a run. */
export interface Guarded {
  readonly parameters: Parameters
  /** Arrays that the run computes with, by a name for people, such as `the ids of the train split`. */
  readonly arrays: Readonly<Record<string, ArrayBufferView>>
}

/**
 * A parameter's digest contains the identity of its tensor, so that an equal tensor in its place is seen too; its shape
 * can be written as well. A device computes those of all parameters without bringing them to the processor.
 *
 * An observation runs in a tfjs scope of its own, whose end disposes of all tensors but kept ones. Afterwards the
 * backend, tfjs's flags and its open scopes are those that they were.
 */
export const guardOf = ({ parameters, arrays }: Guarded): Guard => ({
  digests: Effect.promise(async () => {
    const digests = new Map<string, number | string>()
    const names = parameters.names.filter((name) => !parameters.get(name).isDisposed)
    const bits = await digestsKernel(names.map((name) => parameters.get(name)))
    for (const [i, name] of names.entries()) {
      if (bits[i] === undefined) continue
      const { id, dtype, shape } = parameters.get(name)
      digests.set(`the parameter ${name}`, `${id} ${bits[i]} ${dtype}[${shape}]`)
    }
    for (const [name, array] of Object.entries(arrays)) digests.set(name, crc32(bytesOf(array)))
    return digests
  }),
  enclose: (observation) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const scopes = [...tf.engine().state.scopeStack]
        tf.engine().startScope()
        const flags = { ...tf.env().getFlags() }
        return { before: tf.memory().numTensors, backend: tf.getBackend(), flags, scopes }
      }),
      ({ before }) =>
        Effect.map(Effect.exit(observation), (ended) => ({
          ended,
          left: Math.max(0, tf.memory().numTensors - before),
        })),
      ({ backend, flags, scopes }) =>
        Effect.promise(async () => {
          const { state } = tf.engine()
          // A probe may have left a scope open, or ended one that it had not started.
          while (state.scopeStack.length > scopes.length) tf.engine().endScope()
          state.scopeStack = scopes
          state.activeScope = scopes.at(-1)!
          tf.env().setFlags(flags)
          if (tf.getBackend() !== backend) await tf.setBackend(backend)
        }),
    ),
})
