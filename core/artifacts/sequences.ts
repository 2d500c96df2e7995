import { type } from "arktype"
import { Effect } from "effect"
import { FileError } from "../files.ts"
import { ArrayFile, readArray, writeArray } from "./arrays.ts"

/**
 * Token sequences packed end to end, without padding.
 * Sequence i is `ids[offsets[i] .. offsets[i + 1]]`; `types` are the segment ids (0 or 1), in step with `ids`.
 */
export interface Sequences {
  /** [ΣT] */
  readonly ids: Int32Array
  /** [ΣT] */
  readonly types: Int32Array
  /** [N + 1], first 0, last ΣT, never falling */
  readonly offsets: Int32Array
}

export const countOf = (sequences: Sequences): number => sequences.offsets.length - 1

/** Packs sequences given one by one. */
export const packSequences = (
  items: readonly { readonly ids: ArrayLike<number>; readonly types: ArrayLike<number> }[],
): Sequences => {
  const offsets = new Int32Array(items.length + 1)
  items.forEach((item, i) => {
    offsets[i + 1] = offsets[i]! + item.ids.length
  })
  const ids = new Int32Array(offsets[items.length]!)
  const types = new Int32Array(ids.length)
  items.forEach((item, i) => {
    ids.set(item.ids, offsets[i]!)
    types.set(item.types, offsets[i]!)
  })
  return { ids, types, offsets }
}

/** The chosen sequences, in the order of `indices` (a sequence may be chosen more than once). */
export const selectSequences = (sequences: Sequences, indices: ArrayLike<number>): Sequences =>
  packSequences(
    Array.from(indices, (i) => {
      const start = sequences.offsets[i]!
      const end = sequences.offsets[i + 1]!
      return { ids: sequences.ids.subarray(start, end), types: sequences.types.subarray(start, end) }
    }),
  )

/** How {@link Sequences} stand in an artifact's JSON. */
export const SequencesFile = type({ "+": "reject", ids: ArrayFile, types: ArrayFile, offsets: ArrayFile })

export const writeSequences = (folder: string, name: string, sequences: Sequences) =>
  Effect.all({
    ids: writeArray(folder, `${name}.ids`, sequences.ids),
    types: writeArray(folder, `${name}.types`, sequences.types),
    offsets: writeArray(folder, `${name}.offsets`, sequences.offsets),
  })

export const readSequences = Effect.fnUntraced(function* (folder: string, where: typeof SequencesFile.infer) {
  const sequences: Sequences = {
    ids: yield* readArray(folder, where.ids, "i32"),
    types: yield* readArray(folder, where.types, "i32"),
    offsets: yield* readArray(folder, where.offsets, "i32"),
  }
  const { ids, types, offsets } = sequences
  const rising = offsets.every((offset, i) => offset >= (i === 0 ? 0 : offsets[i - 1]!))
  if (offsets[0] !== 0 || !rising || offsets.at(-1) !== ids.length || types.length !== ids.length) {
    const found = "the offsets do not fit the token ids"
    return yield* new FileError({ path: `${folder}/${where.offsets.file}`, doing: "read", found })
  }
  return sequences
})
