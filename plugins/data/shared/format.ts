/** How a table is written. */
export const formats = ["tsv", "csv", "jsonl", "parquet"] as const
export type Format = (typeof formats)[number]

/** The format that a file's name tells; undefined if it tells none. */
export const formatOf = (name: string): Format | undefined =>
  formats.find((format) => name.toLowerCase().endsWith(`.${format}`))
