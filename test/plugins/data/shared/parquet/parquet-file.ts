/** Small parquet files that say of themselves whatever a test wants: one group of rows, a page for each column. */

/** Fields of a struct of Thrift's compact protocol, by their numbers. */
type Fields = Readonly<Record<number, Value>>
type Value =
  | { readonly i32: number }
  | { readonly i64: number }
  | { readonly text: string }
  | { readonly struct: Fields }
  | { readonly list: readonly Value[] }

const varint = (value: bigint): readonly number[] =>
  value < 128n ? [Number(value)] : [Number(value & 127n) | 128, ...varint(value >> 7n)]
const zigzag = (value: number): readonly number[] =>
  varint(value < 0 ? -2n * BigInt(value) - 1n : 2n * BigInt(value))

const codeOf = (value: Value): number =>
  "i32" in value ? 5 : "i64" in value ? 6 : "text" in value ? 8 : "list" in value ? 9 : 12

const bytesOf = (value: Value): readonly number[] => {
  if ("i32" in value) return zigzag(value.i32)
  if ("i64" in value) return zigzag(value.i64)
  if ("text" in value) {
    const bytes = new TextEncoder().encode(value.text)
    return [...varint(BigInt(bytes.length)), ...bytes]
  }
  if ("struct" in value) return structBytes(value.struct)
  const { list } = value
  return [0xf0 | codeOf(list[0]!), ...varint(BigInt(list.length)), ...list.flatMap(bytesOf)]
}

const structBytes = (fields: Fields): readonly number[] => {
  let before = 0
  const bytes = Object.entries(fields).flatMap(([id, value]) => {
    const delta = Number(id) - before
    before = Number(id)
    return [(delta << 4) | codeOf(value), ...bytesOf(value)]
  })
  return [...bytes, 0]
}

const i32 = (value: number) => ({ i32: value })
const i64 = (value: number) => ({ i64: value })
const struct = (fields: Fields) => ({ struct: fields })

export interface Page {
  /** 0 for data, 2 for a dictionary. */
  readonly type: 0 | 2
  readonly values: number
  /** 0 for plain, 8 for a dictionary's indices. */
  readonly encoding: number
  readonly content: readonly number[]
  /** What the header says that it unpacks to; by default its size. */
  readonly unpacked?: number
  /** What the header says is its size. */
  readonly packed?: number
}

const pageBytes = ({ type, values, encoding, content, unpacked, packed }: Page): readonly number[] => [
  ...structBytes({
    1: i32(type),
    2: i32(unpacked ?? content.length),
    3: i32(packed ?? content.length),
    ...(type === 0
      ? { 5: struct({ 1: i32(values), 2: i32(encoding), 3: i32(3), 4: i32(3) }) }
      : { 7: struct({ 1: i32(values), 2: i32(encoding) }) }),
  }),
  ...content,
]

/** Text as a plain value: its length in four bytes, and its bytes. */
export const plainText = (text: string): readonly number[] => [
  ...new Uint8Array(Uint32Array.of(text.length).buffer),
  ...new TextEncoder().encode(text),
]

/** Indices of a dictionary: the same one so many times. */
export const repeated = (index: number, times: number): readonly number[] => [
  1,
  ...varint(BigInt(times) << 1n),
  index,
]

export interface Column {
  readonly name: string
  readonly pages: readonly Page[]
  /** 0 for none, 1 for Snappy. */
  readonly codec?: number
}

/** A file of texts; `rows` is what it says its number of rows is. */
export const parquetFile = (columns: readonly Column[], rows: number): Uint8Array => {
  const bytes: number[] = [...new TextEncoder().encode("PAR1")]
  const chunks = columns.map(({ name, pages, codec = 0 }) => {
    const start = bytes.length
    const content = pages.flatMap(pageBytes)
    bytes.push(...content)
    const hasDictionary = pages[0]?.type === 2
    const first = start + (hasDictionary ? pageBytes(pages[0]!).length : 0)
    return struct({
      2: i64(start),
      3: struct({
        1: i32(6),
        2: { list: [i32(0)] },
        3: { list: [{ text: name }] },
        4: i32(codec),
        5: i64(rows),
        6: i64(content.length),
        7: i64(content.length),
        9: i64(first),
        ...(hasDictionary ? { 11: i64(start) } : {}),
      }),
    })
  })
  const metadata = structBytes({
    1: i32(1),
    2: {
      list: [
        struct({ 4: { text: "schema" }, 5: i32(columns.length) }),
        ...columns.map(({ name }) => struct({ 1: i32(6), 3: i32(0), 4: { text: name }, 6: i32(0) })),
      ],
    },
    3: i64(rows),
    4: { list: [struct({ 1: { list: chunks }, 2: i64(bytes.length), 3: i64(rows) })] },
  })
  const length = new Uint8Array(Uint32Array.of(metadata.length).buffer)
  return Uint8Array.from([...bytes, ...metadata, ...length, ...new TextEncoder().encode("PAR1")])
}
