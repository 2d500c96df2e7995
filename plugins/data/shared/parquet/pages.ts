/**
 * The pages of a column, checked before they are read: what they unpack to, how many values they say they have, and how
 * many their runs repeat. https://parquet.apache.org/docs/file-format/data-pages/
 */
import type { ColumnMetaData, DataPageHeader, PageHeader, SchemaElement } from "hyparquet"
import { parquetHeader } from "hyparquet/src/column.js"
import { decompressPage } from "hyparquet/src/datapage.js"

export interface Column {
  readonly name: string
  /** In this group of rows. */
  readonly rows: number
  readonly metadata: ColumnMetaData
  readonly element: SchemaElement
}

/** Snappy repeats at most 64 bytes by three. */
const mostTimes = 24
/** Writers fill the last run up to a multiple of eight values, some to more of them. */
const padding = 512

/** Counts what pages unpack to. */
export class Unpacked {
  private bytes = 0

  constructor(private readonly largest: number) {}

  /** @throws Error if a page of the column is not what a writer makes */
  check(view: DataView, column: Column): void {
    const { name, rows } = column
    const reader = { view, offset: 0 }
    let values = 0
    while (values < rows && reader.offset < view.byteLength - 1) {
      const header = parquetHeader(reader)
      const { compressed_page_size: packed, uncompressed_page_size: size } = header
      if (!(packed >= 0 && packed <= view.byteLength - reader.offset)) {
        throw new Error(`a page of ${packed} bytes in the column ${name}, which ends before`)
      }
      if (!(size >= 0 && size <= mostTimes * (packed + 16))) {
        throw new Error(`a page of ${packed} bytes in the column ${name} that unpacks to ${size}`)
      }
      this.bytes += size
      if (this.bytes > this.largest) {
        throw new Error(
          `expected columns of at most ${this.largest} bytes once they are unpacked, found more`,
        )
      }
      const content = new Uint8Array(view.buffer, view.byteOffset + reader.offset, packed)
      reader.offset += packed
      values += valuesOf(content, header, column, rows - values)
    }
  }
}

/** How many values a data page has, none in a dictionary; `most`: how many the column lacks. */
const valuesOf = (content: Uint8Array, header: PageHeader, column: Column, most: number): number => {
  const { metadata, name } = column
  const size = header.uncompressed_page_size
  const { dictionary_page_header: dictionary, data_page_header: first, data_page_header_v2: second } = header
  if (header.type === "DICTIONARY_PAGE" && dictionary !== undefined) {
    // A value has at least a bit, a text four bytes of its length.
    const bits = metadata.type === "BYTE_ARRAY" ? 32 : 1
    if (!(dictionary.num_values >= 0 && dictionary.num_values * bits <= 8 * size)) {
      throw new Error(
        `a dictionary of ${dictionary.num_values} values in ${size} bytes in the column ${name}`,
      )
    }
    return 0
  }
  const page = header.type === "DATA_PAGE" ? first : header.type === "DATA_PAGE_V2" ? second : undefined
  if (page === undefined) throw new Error(`a page of an unknown type in the column ${name}`)
  const count = page.num_values
  if (!(count > 0 && count <= most)) {
    throw new Error(`a page of ${count} values in the column ${name}, which has ${most} rows left`)
  }
  if (first !== undefined && header.type === "DATA_PAGE") checkFirst(content, size, first, column)
  else if (second !== undefined) checkSecond(content, size, second, column)
  return count
}

const isNullable = ({ repetition_type }: SchemaElement): boolean => repetition_type !== "REQUIRED"

/** A data page of version 1: levels and values, packed together. */
const checkFirst = (content: Uint8Array, size: number, page: DataPageHeader, column: Column): void => {
  const unpacked = decompressPage(content, size, column.metadata.codec, undefined)
  const view = new DataView(unpacked.buffer, unpacked.byteOffset, unpacked.byteLength)
  let at = 0
  if (isNullable(column.element)) {
    const length = view.getUint32(0, true)
    checkRuns(view, 4, 4 + length, 1, page.num_values)
    at = 4 + length
  }
  checkValues(view, at, page.encoding, page.num_values, column, true)
}

/** A data page of version 2, whose levels are not packed. */
const checkSecond = (
  content: Uint8Array,
  size: number,
  page: NonNullable<PageHeader["data_page_header_v2"]>,
  column: Column,
): void => {
  const { num_values, num_nulls, encoding, is_compressed } = page
  const levels = page.definition_levels_byte_length + page.repetition_levels_byte_length
  if (!(num_nulls >= 0 && num_nulls <= num_values))
    throw new Error(`${num_nulls} of ${num_values} values are null`)
  if (
    !(page.repetition_levels_byte_length === 0 && levels >= 0 && levels <= content.length && levels <= size)
  ) {
    throw new Error(`levels of ${levels} bytes in a page of ${content.length}`)
  }
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength)
  if (isNullable(column.element)) checkRuns(view, 0, levels, 1, num_values)
  const packed = content.subarray(levels)
  const unpacked =
    is_compressed === false ? packed : decompressPage(packed, size - levels, column.metadata.codec, undefined)
  const values = new DataView(unpacked.buffer, unpacked.byteOffset, unpacked.byteLength)
  checkValues(values, 0, encoding, num_values, column, false)
}

/** The values of a page, from byte `at`; of truth values in runs, version 1 states the length. */
const checkValues = (
  view: DataView,
  at: number,
  encoding: string,
  count: number,
  { name, metadata }: Column,
  statesLength: boolean,
): void => {
  if (encoding === "PLAIN") return
  if (encoding === "RLE" && metadata.type === "BOOLEAN") {
    checkRuns(view, statesLength ? at + 4 : at, view.byteLength, 1, count)
  } else if (encoding === "PLAIN_DICTIONARY" || encoding === "RLE_DICTIONARY") {
    const width = view.getUint8(at)
    if (width > 32) throw new Error(`numbers of ${width} bits in the column ${name}`)
    if (width > 0) checkRuns(view, at + 1, view.byteLength, width, count)
  } else {
    throw new Error(`the column ${name} is encoded as ${encoding}; expected it plain, or with a dictionary`)
  }
}

/** Walks over runs of repeated and of packed numbers until there are `count` of them. */
const checkRuns = (view: DataView, from: number, to: number, width: number, count: number): void => {
  let at = from
  let seen = 0
  while (seen < count && at < to) {
    let header = 0
    for (let shift = 0; ; shift += 7) {
      const byte = view.getUint8(at++)
      header += (byte & 127) * 2 ** shift
      if (byte < 128) break
      if (shift > 28) throw new Error("a run of more values than can be")
    }
    const isPacked = header % 2 === 1
    const values = isPacked ? 8 * Math.floor(header / 2) : header / 2
    if (values > count - seen + padding)
      throw new Error(`a run of ${values} values where ${count - seen} are left`)
    at += isPacked ? (values / 8) * width : Math.ceil(width / 8)
    // hyparquet would wait for a value for ever.
    if (values === 0 && at >= to) throw new Error("empty runs")
    seen += values
  }
}
