/** The columns and rows of a CSV file. */
export interface Records {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Field[])[]
}

/** null is an empty field: the value is unknown or undefined. */
export type Field = string | number | boolean | null

/**
 * CSV according to RFC 4180: a header line, CRLF, quotes only where needed and doubled inside. Numbers that are not
 * finite become empty fields.
 */
export const toCsv = ({ columns, rows }: Records): string =>
  [columns, ...rows].map((row) => `${row.map(csvField).join(",")}\r\n`).join("")

const csvField = (field: Field): string => {
  if (field === null) return ""
  if (typeof field === "number") return Number.isFinite(field) ? String(field) : ""
  const text = String(field)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Twelve significant digits, so that the text is the same on every runtime although the last bits may differ. */
export const rounded = (value: number | null): number | null =>
  value === null ? null : Number(value.toPrecision(12))
