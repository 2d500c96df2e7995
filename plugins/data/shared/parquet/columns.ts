/**
 * Columns of a parquet file, by hyparquet's functions, each page of which is checked first: hyparquet believes the
 * numbers that a file states of itself, so that a few bytes could ask for gigabytes.
 */
import { type FileMetaData, parquetMetadata, parquetSchema } from "hyparquet"
import { readColumn } from "hyparquet/src/column.js"
import { DEFAULT_PARSERS } from "hyparquet/src/convert.js"
import { Unpacked } from "./pages.ts"

/** Columns, and groups of them. */
const mostElements = 10_000

export interface Metadata {
  readonly file: FileMetaData
  /** The columns, nested ones by the name that they have at the top. */
  readonly names: readonly string[]
  /** How many rows the file says it has. */
  readonly count: number
}

/** @throws errors of any type if that is not a parquet file's end */
export const metadataOf = (bytes: Uint8Array, largest: number): Metadata => {
  const end = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  // A file ends with its metadata, their length in four bytes, and the four letters PAR1.
  const length = bytes.length < 12 ? 0 : end.getUint32(bytes.length - 8, true)
  if (length > largest) throw new Error(`expected at most ${largest} bytes of metadata, found ${length}`)
  const file = parquetMetadata(bytes, { geoparquet: false })
  const { schema } = file
  if (schema.length > mostElements) {
    throw new Error(`expected at most ${mostElements} columns, found ${schema.length}`)
  }
  checkNesting(schema)
  const names = parquetSchema(file).children.map(({ element }) => element.name)
  return { file, names, count: Number(file.num_rows) }
}

const deepest = 100

/** The elements of a schema are in depth-first order, each with the number of its children. */
const checkNesting = (schema: FileMetaData["schema"]): void => {
  const open: number[] = []
  for (const { num_children } of schema) {
    while (open.at(-1) === 0) open.pop()
    if (open.length > 0) open[open.length - 1]! -= 1
    open.push(num_children ?? 0)
    if (open.length > deepest) throw new Error(`columns are nested more than ${deepest} deep`)
  }
}

/**
 * The cells of the given columns, one group of rows after the other.
 *
 * @param largest how many bytes the pages may unpack to, all together
 */
export function* readColumns(
  bytes: Uint8Array,
  { file }: Metadata,
  columns: readonly string[],
  largest: number,
): Generator<readonly ArrayLike<unknown>[], void> {
  const root = parquetSchema(file)
  const unpacked = new Unpacked(largest)
  for (const { columns: chunks, num_rows } of file.row_groups) {
    const rows = Number(num_rows)
    if (!(rows >= 0 && rows <= Number(file.num_rows))) throw new Error(`a group of ${rows} rows`)
    yield columns.map((name) => {
      const metadata = chunks.find(({ meta_data }) => meta_data?.path_in_schema[0] === name)?.meta_data
      const leaf = root.children.find(({ element }) => element.name === name)
      if (metadata === undefined || leaf === undefined) throw new Error(`a group of rows without ${name}`)
      const { element, children } = leaf
      if (children.length > 0 || element.repetition_type === "REPEATED") {
        throw new Error(`expected one value a row in the column ${name}, found lists or groups`)
      }
      const from = Number(metadata.dictionary_page_offset || metadata.data_page_offset)
      const to = from + Number(metadata.total_compressed_size)
      if (!(from >= 0 && from <= to && to <= bytes.length)) {
        throw new Error(`the column ${name} at bytes ${from} to ${to} of ${bytes.length}`)
      }
      // hyparquet reads numbers as views of the buffer, for which they must begin at its start.
      const chunk = bytes.slice(from, to)
      const view = new DataView(chunk.buffer)
      unpacked.check(view, { name, rows, metadata, element })
      const { data } = readColumn(
        { view, offset: 0 },
        { groupStart: 0, selectStart: 0, selectEnd: rows, groupRows: rows },
        {
          pathInSchema: [name],
          element,
          schemaPath: [root, leaf],
          type: metadata.type,
          codec: metadata.codec,
          parsers: DEFAULT_PARSERS,
        },
      )
      const cells: ArrayLike<unknown> =
        data.length === 1 ? data[0]! : data.flatMap((page) => Array.from(page))
      if (cells.length !== rows) throw new Error(`${cells.length} of ${rows} values of the column ${name}`)
      return cells
    })
  }
}
