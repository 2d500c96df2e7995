import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { describeNonFinite, openSafetensors, writeSafetensors } from "../../../core/tensor/safetensors.ts"

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "safetensors-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** A file made by hand: the given header (text, or an object to encode as JSON), then `data`. */
const handMade = async (header: string | object, data: Uint8Array = new Uint8Array(), length?: bigint) => {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header))
  const bytes = new Uint8Array(8 + json.length + data.length)
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true)
  bytes.set(json, 8)
  bytes.set(data, 8 + json.length)
  const path = join(folder, `${crypto.randomUUID()}.safetensors`)
  await writeFile(path, bytes)
  return path
}

const readOne = (path: string, name: string) =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(openSafetensors(path), (file) => file.read(name))))

/** The message with which a file is refused. */
const refusal = async (path: string, name?: string) => {
  const reading = Effect.flatMap(openSafetensors(path), (file) =>
    name === undefined ? Effect.void : Effect.asVoid(file.read(name)),
  )
  const error = await Effect.runPromise(Effect.flip(Effect.scoped(reading)))
  expect(error.message).toContain(path)
  return error.message
}

const f32 = (shape: number[], begin: number, end: number) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
})

describe("reading", () => {
  test("float32 unchanged, whatever the order of the names, also scalars and empty tensors", async () => {
    const data = new Float32Array([1.5, -2, 3.25, Number.POSITIVE_INFINITY, -0, 7])
    const path = await handMade(
      {
        "z.last": f32([1, 2], 16, 24),
        "a.first": f32([2, 2], 0, 16),
        empty: f32([0, 3], 24, 24),
        scalar: f32([], 24, 28),
        __metadata__: { format: "pt" },
      },
      new Uint8Array(new Float32Array([...data, 42]).buffer),
    )
    expect([...(await readOne(path, "a.first"))]).toEqual([1.5, -2, 3.25, Number.POSITIVE_INFINITY])
    expect([...(await readOne(path, "z.last"))]).toEqual([-0, 7])
    expect([...(await readOne(path, "scalar"))]).toEqual([42])
    expect((await readOne(path, "empty")).length).toBe(0)
  })

  test("float16, compared with values worked out by hand", async () => {
    // sign, 5 bits of exponent (bias 15), 10 bits of fraction; IEEE 754
    const halves = [
      [0x0000, 0],
      [0x8000, -0],
      [0x3c00, 1],
      [0xc000, -2],
      [0x3555, 0.333251953125],
      [0x7bff, 65504],
      [0x0001, 2 ** -24],
      [0x03ff, 1023 * 2 ** -24],
      [0x0400, 2 ** -14],
      [0x7c00, Number.POSITIVE_INFINITY],
      [0xfc00, Number.NEGATIVE_INFINITY],
    ] as const
    const data = new Uint8Array(new Uint16Array(halves.map(([bits]) => bits)).buffer)
    const path = await handMade(
      { half: { dtype: "F16", shape: [halves.length], data_offsets: [0, data.length] } },
      data,
    )
    expect([...(await readOne(path, "half"))]).toEqual(halves.map(([, value]) => value))
  })

  test("bfloat16, compared with values worked out by hand", async () => {
    // sign, 8 bits of exponent (bias 127), 7 bits of fraction
    const halves = [
      [0x3f80, 1],
      [0xc000, -2],
      [0x4049, 3.140625],
      [0x7f7f, 255 * 2 ** 120],
      [0x0001, 2 ** -133],
      [0x8000, -0],
      [0xff80, Number.NEGATIVE_INFINITY],
    ] as const
    const data = new Uint8Array(new Uint16Array(halves.map(([bits]) => bits)).buffer)
    const path = await handMade(
      { half: { dtype: "BF16", shape: [halves.length], data_offsets: [0, data.length] } },
      data,
    )
    expect([...(await readOne(path, "half"))]).toEqual(halves.map(([, value]) => value))
  })

  test("a file may contain integers, but they are not read", async () => {
    const path = await handMade(
      { ids: { dtype: "I64", shape: [1], data_offsets: [0, 8] }, w: f32([1], 8, 12) },
      new Uint8Array(12),
    )
    expect([...(await readOne(path, "w"))]).toEqual([0])
    expect(await refusal(path, "ids")).toContain('tensor "ids": expected F32, F16 or BF16, found dtype I64')
    expect(await refusal(path, "other")).toContain(
      'tensor "other": expected one, found no tensor of that name among 2',
    )
  })
})

describe("refusals", () => {
  const eight = new Uint8Array(8)
  test.each<[string, string | object, Uint8Array, string]>([
    [
      "gap",
      { a: f32([1], 0, 4), b: f32([1], 8, 12) },
      new Uint8Array(12),
      'tensor "b": expected a start at byte 4, found a start at byte 8, which leaves a gap',
    ],
    [
      "gap at the start",
      { a: f32([1], 4, 8) },
      eight,
      'tensor "a": expected a start at byte 0, found a start at byte 4, which leaves a gap',
    ],
    [
      "overlap",
      { a: f32([2], 0, 8), b: f32([1], 4, 8) },
      eight,
      'tensor "b": expected a start at byte 8, found a start at byte 4, which overlaps',
    ],
    ["two tensors on the same bytes", { a: f32([2], 0, 8), b: f32([2], 0, 8) }, eight, "overlaps"],
    ["beyond the file", { a: f32([4], 0, 16) }, eight, "was the download cut off?"],
    ["bytes after the last tensor", { a: f32([1], 0, 4) }, eight, "bytes, by its header, found "],
    [
      "shape against offsets",
      { a: f32([3], 0, 8) },
      eight,
      'tensor "a": expected 12 bytes, for F32 of shape [3], found offsets 0 to 8',
    ],
    ["end before start", { a: f32([1], 8, 4) }, eight, "offsets 8 to 4"],
    [
      "unknown dtype",
      { a: { dtype: "F31", shape: [2], data_offsets: [0, 8] } },
      eight,
      'tensor "a": expected a valid entry, found an invalid one (dtype must be',
    ],
    ["negative size", { a: f32([-2], 0, 8) }, eight, "shape"],
    ["fraction of a size", { a: f32([1.5], 0, 6) }, eight, "shape"],
    ["sizes whose product overflows", { a: f32([2 ** 40, 2 ** 40], 0, 8) }, eight, "offsets 0 to 8"],
    ["missing offsets", { a: { dtype: "F32", shape: [2] } }, eight, "data_offsets"],
    ["unknown field", { a: { ...f32([2], 0, 8), strides: [1] } }, eight, "strides"],
    [
      "metadata that are not strings",
      { __metadata__: { steps: 3 }, a: f32([2], 0, 8) },
      eight,
      "steps must be a string",
    ],
    ["a list", "[1, 2]", eight, "not a JSON object"],
    ["not JSON", "{a: 1}", eight, "does not parse"],
    [
      "the same name twice",
      `{"a":${JSON.stringify(f32([1], 0, 4))},"\\u0061":${JSON.stringify(f32([1], 4, 8))}}`,
      eight,
      'the key "a" twice',
    ],
    [
      "the same field twice",
      '{"a":{"dtype":"F16","dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
      eight,
      'the key "dtype" twice',
    ],
  ])("%s", async (_, header, data, message) => {
    expect(await refusal(await handMade(header, data))).toContain(message)
  })

  test("a header length beyond the limit, or beyond the file", async () => {
    expect(await refusal(await handMade("{}", eight, 100_000_001n))).toContain("bytes, found 100000001")
    expect(await refusal(await handMade("{}", eight, 2n ** 63n))).toContain("is this a safetensors file?")
    expect(await refusal(await handMade("{}", eight, 99n))).toContain("a header of 99 bytes in a file of 18")
  })

  test("a header that is not UTF-8, a file too short, a file that is not there", async () => {
    const path = await handMade('{"x": {}}')
    const bytes = await readFile(path)
    bytes[10] = 0xff
    await writeFile(path, bytes)
    expect(await refusal(path)).toContain("does not parse")
    await writeFile(path, new Uint8Array(5))
    expect(await refusal(path)).toContain("found 5 bytes")
    expect(await refusal(join(folder, "absent.safetensors"))).toContain("no such file")
  })

  test("values that look like keys are not duplicates", async () => {
    const path = await handMade(
      { __metadata__: { a: "{", "}": "a", b: '"b":"b",' }, a: f32([2], 0, 8) },
      eight,
    )
    expect([...(await readOne(path, "a"))]).toEqual([0, 0])
  })
})

describe("writing", () => {
  test("what is written is read back bit for bit, NaN payloads included", async () => {
    const bits = new Uint32Array([0x7fc00001, 0xffc12345, 0x80000000, 0x00000001, 0x3f800000, 0x7f800000])
    const values = new Float32Array(bits.buffer)
    const path = join(folder, "new", "model.safetensors")
    await Effect.runPromise(
      writeSafetensors(path, [
        { name: "b.weight", shape: [2, 3], values: () => values },
        { name: "a.bias", shape: [2], values: () => Promise.resolve(new Float32Array([1, 2])) },
      ]),
    )
    const read = await readOne(path, "b.weight")
    expect(new Uint32Array(read.buffer)).toEqual(bits)
    expect([...(await readOne(path, "a.bias"))]).toEqual([1, 2])
    expect(await readdir(join(folder, "new"))).toEqual(["model.safetensors"])
  })

  test("the header is aligned and has the metadata that transformers requires", async () => {
    const path = join(folder, "aligned.safetensors")
    await Effect.runPromise(
      writeSafetensors(path, [{ name: "w", shape: [1], values: () => new Float32Array([3]) }]),
    )
    const bytes = await readFile(path)
    const length = Number(bytes.readBigUInt64LE(0))
    expect(length % 8).toBe(0)
    expect(bytes.length).toBe(8 + length + 4)
    expect(JSON.parse(bytes.subarray(8, 8 + length).toString())).toEqual({
      __metadata__: { format: "pt" },
      w: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
    })
  })

  test("values are requested one tensor at a time, each after the one before it was written", async () => {
    const path = join(folder, "streamed.safetensors")
    const sizes: number[] = []
    const source = (name: string) => ({
      name,
      shape: [1000],
      values: async () => {
        const [partial] = (await readdir(folder)).filter((file) => file.startsWith(".streamed"))
        sizes.push((await stat(join(folder, partial!))).size)
        return new Float32Array(1000)
      },
    })
    await Effect.runPromise(writeSafetensors(path, [source("a"), source("b"), source("c")]))
    expect([sizes[1]! - sizes[0]!, sizes[2]! - sizes[1]!]).toEqual([4000, 4000])
  })

  test("a write that fails leaves no partial file, and keeps the file that was there", async () => {
    const path = join(folder, "kept.safetensors")
    const good = { name: "w", shape: [1], values: () => new Float32Array([1]) }
    await Effect.runPromise(writeSafetensors(path, [good]))
    const bad = { name: "v", shape: [2], values: () => new Float32Array(3) }
    const exit = await Effect.runPromiseExit(writeSafetensors(path, [good, bad]))
    expect(exit._tag).toBe("Failure")
    expect([...(await readOne(path, "w"))]).toEqual([1])
    expect((await readdir(folder)).filter((name) => name.includes("partial"))).toEqual([])
  })

  test("a folder that cannot be written to is reported", async () => {
    const file = await handMade("{}")
    const error = await Effect.runPromise(Effect.flip(writeSafetensors(join(file, "model.safetensors"), [])))
    expect(error.message).toContain("cannot write")
  })
})

test("the first value that is not finite is named with its index, and the others are counted", () => {
  const values = Float32Array.from({ length: 24 }, (_, i) => i - 12)
  const largest = 3.4028234663852886e38
  values.set([largest, -largest, 1e-45, -0], 0)
  expect(describeNonFinite(values, [2, 3, 4])).toBeUndefined()
  values[17] = Number.NEGATIVE_INFINITY
  expect(describeNonFinite(values, [2, 3, 4])).toBe("-Infinity at [1, 1, 1]")
  values[5] = Number.NaN
  values[23] = Number.POSITIVE_INFINITY
  expect(describeNonFinite(values, [2, 3, 4])).toBe("NaN at [0, 1, 1], and 2 more like it among 24")
  // A part of a longer array: the values before it do not count.
  expect(describeNonFinite(values.subarray(6, 12), [6])).toBeUndefined()
  expect(describeNonFinite(new Float32Array(0), [0])).toBeUndefined()
})
