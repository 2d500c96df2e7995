/**
 * The safetensors file format, read and written one tensor at a time, so that a model is not in memory twice.
 *
 * Layout: 8 bytes n (unsigned, little-endian), n bytes of JSON header, then the tensors' bytes.
 * https://github.com/huggingface/safetensors (README, "Format"; the checks follow safetensors/src/tensor.rs).
 *
 * Typed arrays are read and written in the machine's byte order; every platform that Bun and Deno run on is
 * little-endian, as the format is.
 */
import { randomUUID } from "node:crypto"
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { type } from "arktype"
import { Effect, type Scope } from "effect"
import { InvalidInput } from "../io/decode.ts"
import { duplicateKey } from "../io/duplicate-key.ts"
import { attempt, type FileError } from "../io/files.ts"
import { parseJson } from "../io/json.ts"

export interface SafetensorsEntry {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  /** Bytes [begin, end), counted from the end of the header. */
  readonly begin: number
  readonly end: number
}

export interface SafetensorsFile {
  readonly path: string
  /** By name, in the order of their bytes. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>
  /** The values of one tensor (F32, F16 or BF16) in row-major order, widened to float32 without rounding. */
  readonly read: (name: string) => Effect.Effect<Float32Array, InvalidInput | FileError>
}

/** One tensor to write. `values` is called once, when its turn comes: product(shape) numbers, read immediately. */
export interface TensorSource {
  readonly name: string
  readonly shape: readonly number[]
  readonly values: () => Float32Array | Promise<Float32Array>
}

/** Bytes per element. A file may contain integers and other floats, but only F32, F16 and BF16 are read. */
const bytesPerElement = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const

export type Dtype = keyof typeof bytesPerElement

/** Of the JSON header. The reference implementation has 100 MB; an encoder of 1,024 layers needs 3 MB. */
const maximumHeaderBytes = 2 ** 24
const metadataKey = "__metadata__"
/** The most bytes that one system call moves: Node refuses 2 GiB. */
const maximumTransferBytes = 1 << 30

const dtypes = type.enumerated(...(Object.keys(bytesPerElement) as Dtype[]))
const Metadata = type({ "[string]": "string" })
const Entry = type({
  "+": "reject",
  dtype: dtypes,
  shape: "(number.integer >= 0)[]",
  data_offsets: ["number.integer >= 0", "number.integer >= 0"],
})
const JsonObject = type({ "[string]": "unknown" })

const elements = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1)
const show = (shape: readonly number[]) => `[${shape.join(", ")}]`

/**
 * Opens a file and checks its whole header: its length, JSON without duplicate keys, dtypes and shapes that agree with
 * the offsets, tensors that fill the file without gap or overlap. The file stays open until the scope closes.
 *
 * @throws InvalidInput if the header is wrong, FileError if the file cannot be read
 */
export const openSafetensors: (
  path: string,
) => Effect.Effect<SafetensorsFile, InvalidInput | FileError, Scope.Scope> = Effect.fn("openSafetensors")(
  function* (path: string) {
    const handle = yield* Effect.acquireRelease(
      attempt("read", path, () => open(path, "r")),
      (handle) => Effect.promise(() => handle.close()),
    )
    const { size } = yield* attempt("read", path, () => handle.stat())
    const header = yield* readHeader(path, handle, size)
    const read = Effect.fn("SafetensorsFile.read")(function* (name: string) {
      const entry = header.entries.get(name)
      if (entry === undefined) {
        return yield* invalid(path, `no tensor of that name among ${header.entries.size}`, "one", name)
      }
      const at = header.dataStart + entry.begin
      const count = elements(entry.shape)
      switch (entry.dtype) {
        case "F32": {
          const values = new Float32Array(count)
          yield* readInto(path, handle, new Uint8Array(values.buffer), at)
          return values
        }
        case "F16": {
          const halves = new Float16Array(count)
          yield* readInto(path, handle, new Uint8Array(halves.buffer), at)
          return new Float32Array(halves)
        }
        case "BF16": {
          const halves = new Uint16Array(count)
          yield* readInto(path, handle, new Uint8Array(halves.buffer), at)
          // A bfloat16 is the upper half of a float32.
          const bits = new Uint32Array(count)
          for (let i = 0; i < count; i++) bits[i] = halves[i]! << 16
          return new Float32Array(bits.buffer)
        }
        default:
          return yield* invalid(path, `dtype ${entry.dtype}`, "F32, F16 or BF16", name)
      }
    })
    return { path, entries: header.entries, read }
  },
)

/** The exponent bits of a float32; all are set in a NaN or an infinity, and in no other number. */
const exponentBits = 0x7f800000

/**
 * The first value that is not finite, with its index, and how many there are: `NaN at [3, 17], and 4 more like it`.
 *
 * @param values row-major, product(shape) of them
 * @returns undefined if all are finite
 */
export const describeNonFinite = (values: Float32Array, shape: readonly number[]): string | undefined => {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  let first = -1
  let count = 0
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i]! & exponentBits) !== exponentBits) continue
    if (count === 0) first = i
    count++
  }
  if (count === 0) return undefined
  const index: number[] = []
  let rest = first
  for (const size of shape.toReversed()) {
    index.unshift(rest % size)
    rest = Math.floor(rest / size)
  }
  const others = count === 1 ? "" : `, and ${count - 1} more like it among ${values.length}`
  return `${values[first]} at ${show(index)}${others}`
}

/** A tensor in the header of a file. */
type TensorEntry = Pick<TensorSource, "name" | "shape">

/**
 * Writes float32 tensors in the given order, one at a time, to a temporary file in the same folder that is renamed
 * when it is complete on disk: readers see the whole file or none. Hugging Face transformers requires the metadata
 * `{"format": "pt"}`. The header is padded with spaces so that the data start at a multiple of 8.
 */
export const writeSafetensors: (
  path: string,
  tensors: readonly TensorSource[],
) => Effect.Effect<void, FileError> = Effect.fn("writeSafetensors")(function* (
  path: string,
  tensors: readonly TensorSource[],
) {
  yield* writePieces(path, tensors, valuesOf(tensors))
})

async function* valuesOf(tensors: readonly TensorSource[]): AsyncGenerator<Float32Array, void> {
  for (const { name, shape, values } of tensors) {
    const data = await values()
    if (data.length !== elements(shape)) {
      throw new RangeError(`${name}: ${data.length} values for shape ${show(shape)}`)
    }
    yield data
  }
}

/**
 * As {@link writeSafetensors}, from the numbers of all tensors, one after another, in pieces of any length. A piece is
 * written before the next is asked for; the generator has returned when this ends, however it ends.
 */
export const writePieces = Effect.fnUntraced(function* (
  path: string,
  tensors: readonly TensorEntry[],
  pieces: AsyncGenerator<Float32Array, void>,
): Effect.fn.Return<void, FileError> {
  const header = encodeHeader(tensors)
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.partial`)
  const writing = Effect.scoped(
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.promise(() => pieces.return()))
      const handle = yield* Effect.acquireRelease(
        attempt("write", path, async () => {
          await mkdir(dirname(path), { recursive: true })
          return open(temporary, "wx")
        }),
        (handle) => Effect.promise(() => handle.close()),
      )
      yield* writeAll(path, handle, header)
      while (true) {
        const { value } = yield* Effect.promise(() => pieces.next())
        if (value === undefined) break
        yield* writeAll(path, handle, new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
      }
      yield* attempt("write", path, () => handle.sync())
    }),
  )
  yield* writing.pipe(
    Effect.andThen(attempt("write", path, () => rename(temporary, path))),
    // The first error is the one to report, so a failing clean-up is ignored.
    Effect.onError(() => Effect.promise(() => rm(temporary, { force: true }).catch(() => undefined))),
  )
})

const invalid = (path: string, found: string, expected: string, tensor?: string) => {
  const where = tensor === undefined ? "" : `tensor ${JSON.stringify(tensor)}: `
  return new InvalidInput({ what: path, problems: [`${where}expected ${expected}, found ${found}`] })
}

interface Header {
  readonly entries: ReadonlyMap<string, SafetensorsEntry>
  readonly dataStart: number
}

const readHeader = Effect.fnUntraced(function* (path: string, handle: FileHandle, fileBytes: number) {
  const fail = (found: string, expected: string, tensor?: string) => invalid(path, found, expected, tensor)

  if (fileBytes < 8) {
    return yield* fail(`${fileBytes} bytes`, "a safetensors file, which starts with 8 bytes of header length")
  }
  const prefix = new Uint8Array(8)
  yield* readInto(path, handle, prefix, 0)
  const headerBytes = Number(new DataView(prefix.buffer).getBigUint64(0, true))
  if (headerBytes > maximumHeaderBytes) {
    return yield* fail(
      `${headerBytes}; is this a safetensors file?`,
      `a header of at most ${maximumHeaderBytes} bytes`,
    )
  }
  const dataStart = 8 + headerBytes
  if (dataStart > fileBytes) {
    return yield* fail(
      `a header of ${headerBytes} bytes in a file of ${fileBytes}; was the download cut off?`,
      "a file longer than its header",
    )
  }
  const encoded = new Uint8Array(headerBytes)
  yield* readInto(path, handle, encoded, 8)
  const parsed = yield* Effect.try({
    try: () => {
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(encoded)
      const json = parseJson(text)
      return { json, repeated: duplicateKey(text) }
    },
    catch: (cause) => fail(`a header that does not parse (${String(cause)})`, "UTF-8 JSON"),
  })
  if (parsed.repeated !== undefined) {
    return yield* fail(`the key ${JSON.stringify(parsed.repeated)} twice in one object`, "every key once")
  }
  const json = JsonObject(parsed.json)
  if (json instanceof type.errors || Array.isArray(parsed.json)) {
    return yield* fail("a header that is not a JSON object", "names with dtype, shape and data_offsets")
  }
  const metadata = Metadata(Object.hasOwn(json, metadataKey) ? json[metadataKey] : {})
  if (metadata instanceof type.errors)
    return yield* fail(`others (${metadata.summary})`, `strings in ${metadataKey}`)

  const entries: SafetensorsEntry[] = []
  for (const [name, value] of Object.entries(json)) {
    if (name === metadataKey) continue
    const entry = Entry(value)
    if (entry instanceof type.errors) {
      return yield* fail(`an invalid one (${entry.summary})`, "a valid entry", name)
    }
    const [begin, end] = entry.data_offsets
    const bytes = elements(entry.shape) * bytesPerElement[entry.dtype]
    if (!Number.isSafeInteger(bytes) || end - begin !== bytes) {
      return yield* fail(
        `offsets ${begin} to ${end}`,
        `${bytes} bytes, for ${entry.dtype} of shape ${show(entry.shape)}`,
        name,
      )
    }
    entries.push({ name, dtype: entry.dtype, shape: entry.shape, begin, end })
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end)
  let filled = 0
  for (const { name, begin, end } of entries) {
    if (begin !== filled) {
      const fault = begin < filled ? "overlaps the tensor before it" : "leaves a gap before it"
      return yield* fail(`a start at byte ${begin}, which ${fault}`, `a start at byte ${filled}`, name)
    }
    filled = end
  }
  if (dataStart + filled !== fileBytes) {
    return yield* fail(
      `${fileBytes}${dataStart + filled > fileBytes ? "; was the download cut off?" : ""}`,
      `a file of ${dataStart + filled} bytes, by its header`,
    )
  }
  const header: Header = {
    entries: new Map(entries.map((entry) => [entry.name, entry])),
    dataStart,
  }
  return header
})

const encodeHeader = (tensors: readonly TensorEntry[]): Uint8Array => {
  const header = new Map<string, unknown>([[metadataKey, { format: "pt" }]])
  let begin = 0
  for (const { name, shape } of tensors) {
    if (header.has(name)) {
      throw new Error(`${name}: every tensor needs a unique name, other than ${metadataKey}`)
    }
    const end = begin + elements(shape) * bytesPerElement.F32
    header.set(name, { dtype: "F32", shape, data_offsets: [begin, end] })
    begin = end
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)))
  const padded = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20)
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true)
  padded.set(json, 8)
  return padded
}

/** Fills `target` from byte `position` of the file; a single read may return fewer bytes than requested. */
const readInto = Effect.fnUntraced(function* (
  path: string,
  handle: FileHandle,
  target: Uint8Array,
  position: number,
) {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = yield* attempt("read", path, () =>
      handle.read(target, done, Math.min(target.length - done, maximumTransferBytes), position + done),
    )
    if (bytesRead === 0) {
      return yield* invalid(
        path,
        `${position + done}; was the file changed while it was read?`,
        `at least ${position + target.length} bytes`,
      )
    }
    done += bytesRead
  }
})

const writeAll = Effect.fnUntraced(function* (path: string, handle: FileHandle, source: Uint8Array) {
  for (let done = 0; done < source.length; ) {
    const { bytesWritten } = yield* attempt("write", path, () =>
      handle.write(source, done, Math.min(source.length - done, maximumTransferBytes)),
    )
    done += bytesWritten
  }
})
