import type * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { FileError } from "../io/files.ts"
import { defineKernel } from "./kernel.ts"
import { type TensorSource, writePieces, writeSafetensors } from "./safetensors.ts"

/**
 * The values of a float32 tensor, to be read immediately; not a copy if the backend can share its memory, since copying
 * a large model to save it leaves gigabytes to the garbage collector. Valid until the next op or borrowing, or until the
 * tensor is disposed of; read-only.
 */
export const borrowKernel = defineKernel(
  "borrow",
  (tensor: tf.Tensor): Float32Array | Promise<Float32Array> => tensor.data<"float32">(),
)

/**
 * The numbers of float32 tensors, one tensor after another, in pieces of any length, each valid until the next is asked
 * for: from a device whose memory is not the host's they leave beside its work, so that one piece can be written to disk
 * while the next is copied. The tensors are not disposed of, nor changed, before the iteration has ended; whoever stops
 * it calls `return`, and waits. Undefined if the memory is the host's: then `borrowKernel` copies nothing.
 */
export const transferKernel = defineKernel(
  "transfer",
  (_tensors: readonly tf.Tensor[]): AsyncGenerator<Float32Array, void> | undefined => undefined,
)

/** A tensor to be saved in a file under a name. The caller disposes of it, after it is written. */
export interface NamedTensor {
  readonly name: string
  readonly tensor: tf.Tensor
}

const sourceOf = ({ name, tensor }: NamedTensor): TensorSource => ({
  name,
  shape: tensor.shape,
  values: () => borrowKernel(tensor),
})

/** Writes tensors as `writeSafetensors` does, from a device in pieces, of which one is written while the next is copied. */
export const writeTensors = (path: string, tensors: readonly NamedTensor[]): Effect.Effect<void, FileError> =>
  Effect.suspend(() => {
    const pieces = transferKernel(tensors.map(({ tensor }) => tensor))
    if (pieces === undefined) return writeSafetensors(path, tensors.map(sourceOf))
    const entries = tensors.map(({ name, tensor: { shape } }) => ({ name, shape }))
    return writePieces(path, entries, pieces)
  })
