/**
 * Typed arrays on disk: one raw little-endian file for each array, with its type and length in the caller's JSON.
 * Every platform that Bun and Deno run on is little-endian.
 */
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { FileError, readBytes, writeFile } from "../io/files.ts"

const constructors = { i32: Int32Array, f32: Float32Array, f64: Float64Array } as const
type Types = { i32: Int32Array; f32: Float32Array; f64: Float64Array }

/** Where an array is: a file name inside the artifact's folder, the element type, the number of elements. */
export const ArrayFile = type({
  "+": "reject",
  file: /^[a-z0-9][a-z0-9.-]*$/,
  dtype: "'i32' | 'f32' | 'f64'",
  length: "number.integer >= 0",
})
export type ArrayFile = typeof ArrayFile.infer

/** Writes `array` to `folder/name.<dtype>` and returns where it is. */
export const writeArray = (
  folder: string,
  name: string,
  array: Int32Array | Float32Array | Float64Array,
): Effect.Effect<ArrayFile, FileError> => {
  const dtype = array instanceof Int32Array ? "i32" : array instanceof Float32Array ? "f32" : "f64"
  const file = `${name}.${dtype}`
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  return Effect.as(writeFile(join(folder, file), bytes), { file, dtype, length: array.length })
}

/**
 * Reads an array.
 *
 * @throws FileError if the file is missing, or its size or element type is not as declared
 */
export const readArray = <D extends keyof Types>(
  folder: string,
  where: ArrayFile,
  dtype: D,
): Effect.Effect<Types[D], FileError> => {
  const path = join(folder, where.file)
  const expected = where.length * constructors[where.dtype].BYTES_PER_ELEMENT
  return Effect.flatMap(readBytes(path), (bytes) => {
    if (where.dtype !== dtype || bytes.byteLength !== expected) {
      const found = `expected ${expected} bytes of ${dtype}, found ${bytes.byteLength} bytes of ${where.dtype}`
      return Effect.fail(new FileError({ path, doing: "read", found }))
    }
    // A view if the bytes are aligned, so that a large array is not in memory twice.
    const { BYTES_PER_ELEMENT } = constructors[dtype]
    const { buffer, byteOffset } = bytes.byteOffset % BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice()
    return Effect.succeed(new constructors[dtype](buffer, byteOffset, where.length) as Types[D])
  })
}
