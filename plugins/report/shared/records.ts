/** Data as columns and rows, as they go into a CSV file. */
export interface Records {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Field[])[]
}

/** null is an empty field: what is not known or not defined. */
export type Field = string | number | boolean | null

/**
 * CSV after RFC 4180: CRLF, quotes only where needed and doubled inside, a header line. Numbers that are not finite
 * become empty fields.
 */
export const toCsv = ({ columns, rows }: Records): string =>
  [columns, ...rows].map((row) => `${row.map(csvField).join(",")}\r\n`).join("")

const csvField = (field: Field): string => {
  if (field === null) return ""
  if (typeof field === "number") return Number.isFinite(field) ? String(field) : ""
  const text = String(field)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Twelve significant digits: what is computed is the same text on every runtime, whose last bits may differ. */
export const rounded = (value: number | null): number | null =>
  value === null ? null : Number(value.toPrecision(12))
