import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { FileError } from "../io/files.ts"
import { ArrayFile, readArray, writeArray } from "./arrays.ts"

/**
 * Token sequences packed end to end, without padding.
 * Sequence i is `ids[offsets[i] .. offsets[i + 1] − 1]`; `tokenTypeIds` has the token type (0 or 1) of each token.
 */
export interface Sequences {
  /** [ΣT] */
  readonly ids: Int32Array
  /** [ΣT] */
  readonly tokenTypeIds: Int32Array
  /** [N + 1], from 0 to ΣT, never decreasing */
  readonly offsets: Int32Array
}

/** The number of sequences, N. */
export const countOf = (sequences: Sequences): number => sequences.offsets.length - 1

/** The number of tokens of the longest sequence. */
export const longest = ({ offsets }: Sequences): number => {
  let length = 0
  for (let n = 0; n + 1 < offsets.length; n++) length = Math.max(length, offsets[n + 1]! - offsets[n]!)
  return length
}

/** One sequence that is not yet packed. */
export interface Sequence {
  readonly ids: ArrayLike<number>
  readonly tokenTypeIds: ArrayLike<number>
}

/** Packs sequences that are all in memory. */
export const packSequences = (items: readonly Sequence[]): Sequences => {
  const offsets = new Int32Array(items.length + 1)
  items.forEach((item, i) => {
    offsets[i + 1] = offsets[i]! + item.ids.length
  })
  const ids = new Int32Array(offsets[items.length]!)
  const tokenTypeIds = new Int32Array(ids.length)
  items.forEach((item, i) => {
    ids.set(item.ids, offsets[i]!)
    tokenTypeIds.set(item.tokenTypeIds, offsets[i]!)
  })
  return { ids, tokenTypeIds, offsets }
}

/** Packs sequences one by one, so that a corpus is not first held as a million small arrays. */
export class SequencePacker {
  private ids = new Int32Array(1024)
  private tokenTypeIds = new Int32Array(1024)
  private offsets = new Int32Array(64)
  /** How many sequences have been added. */
  count = 0

  /** ΣT, the tokens of all sequences so far. */
  get tokens(): number {
    return this.offsets[this.count]!
  }

  add({ ids, tokenTypeIds }: Sequence): void {
    const start = this.tokens
    const end = start + ids.length
    this.ids = withRoom(this.ids, end)
    this.tokenTypeIds = withRoom(this.tokenTypeIds, end)
    this.offsets = withRoom(this.offsets, this.count + 2)
    this.ids.set(ids, start)
    this.tokenTypeIds.set(tokenTypeIds, start)
    this.count++
    this.offsets[this.count] = end
  }

  /** All sequences added so far. */
  packed(): Sequences {
    return {
      ids: this.ids.slice(0, this.tokens),
      tokenTypeIds: this.tokenTypeIds.slice(0, this.tokens),
      offsets: this.offsets.slice(0, this.count + 1),
    }
  }
}

const withRoom = (array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> => {
  if (length <= array.length) return array
  const larger = new Int32Array(Math.max(length, array.length * 2))
  larger.set(array)
  return larger
}

/** The chosen sequences, in the order of `indices` (a sequence may be chosen more than once). */
export const selectSequences = (sequences: Sequences, indices: ArrayLike<number>): Sequences =>
  packSequences(
    Array.from(indices, (i) => {
      const start = sequences.offsets[i]!
      const end = sequences.offsets[i + 1]!
      return {
        ids: sequences.ids.subarray(start, end),
        tokenTypeIds: sequences.tokenTypeIds.subarray(start, end),
      }
    }),
  )

/** {@link Sequences} in the JSON of an artifact: where their arrays are. */
export const SequencesFile = type({
  "+": "reject",
  ids: ArrayFile,
  tokenTypeIds: ArrayFile,
  offsets: ArrayFile,
})

export const writeSequences = (folder: string, name: string, sequences: Sequences) =>
  Effect.all({
    ids: writeArray(folder, `${name}.ids`, sequences.ids),
    tokenTypeIds: writeArray(folder, `${name}.token-type-ids`, sequences.tokenTypeIds),
    offsets: writeArray(folder, `${name}.offsets`, sequences.offsets),
  })

/**
 * Reads sequences.
 *
 * @param vocabularySize every token id must be below it
 * @throws FileError if a file is damaged, the arrays do not fit each other, or an id or token type is out of range
 */
export const readSequences = Effect.fnUntraced(function* (
  folder: string,
  where: typeof SequencesFile.infer,
  vocabularySize: number,
) {
  const ids = yield* readArray(folder, where.ids, "i32")
  const tokenTypeIds = yield* readArray(folder, where.tokenTypeIds, "i32")
  const offsets = yield* readArray(folder, where.offsets, "i32")
  const refuse = (file: string, found: string) =>
    new FileError({ path: join(folder, file), doing: "read", found })
  const rising = offsets.every((offset, i) => offset >= (i === 0 ? 0 : offsets[i - 1]!))
  if (offsets[0] !== 0 || !rising || offsets.at(-1) !== ids.length || tokenTypeIds.length !== ids.length) {
    return yield* refuse(where.offsets.file, "the offsets do not fit the token ids")
  }
  const outside = ids.findIndex((id) => id < 0 || id >= vocabularySize)
  if (outside >= 0) {
    const expected = `expected an id from 0 to ${vocabularySize - 1}`
    return yield* refuse(where.ids.file, `token ${outside}: ${expected}, found ${ids[outside]!}`)
  }
  const untyped = tokenTypeIds.findIndex((type) => type !== 0 && type !== 1)
  if (untyped >= 0) {
    return yield* refuse(
      where.tokenTypeIds.file,
      `token ${untyped}: expected the token type 0 or 1, found ${tokenTypeIds[untyped]!}`,
    )
  }
  return { ids, tokenTypeIds, offsets } satisfies Sequences
})
