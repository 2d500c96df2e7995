import { crc32 } from "node:zlib"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { Guard } from "../api/watch.ts"
import { borrowKernel } from "./borrow.ts"
import type { Parameters } from "./parameters.ts"

/** What probes can reach of a run. */
export interface Guarded {
  readonly parameters: Parameters
  /** Arrays that the run computes with, by a name for people, such as `the ids of the train split`. */
  readonly arrays: Readonly<Record<string, ArrayBufferView>>
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** Undefined if it was disposed of, itself or its memory. */
const digestOf = async (tensor: tf.Tensor): Promise<string | undefined> => {
  if (tensor.isDisposed) return undefined
  try {
    const crc = crc32(bytesOf(await borrowKernel(tensor)), tensor.id)
    return `${crc} ${tensor.dtype}[${tensor.shape}]`
  } catch {
    return undefined
  }
}

/**
 * The digest is CRC-32, the one hash of the standard library that runs faster than memory is read (25 GB/s: 16 ms for
 * BERT-base). It sees every change of up to 32 neighbouring bits, and any other but for one in 2³². A parameter's starts
 * from the identity of its tensor, so that an equal tensor in its place is seen too; its shape can be written as well.
 *
 * An observation runs in a tfjs scope of its own, whose end disposes of all tensors but kept ones. Afterwards the
 * backend, tfjs's flags and its open scopes are those that they were.
 */
export const guardOf = ({ parameters, arrays }: Guarded): Guard => ({
  digests: Effect.promise(async () => {
    const digests = new Map<string, number | string>()
    for (const name of parameters.names) {
      const digest = await digestOf(parameters.get(name))
      if (digest !== undefined) digests.set(`the parameter ${name}`, digest)
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
