/** How claims write numbers, labels and groups. */
import { describeLabels } from "../../../../core/api/pipeline.ts"
import type { Labels } from "../../../../core/api/plugin.ts"

/** Three significant digits with a true minus sign; `1e-5` only where the plain form would be long. */
export const number = (value: number): string => {
  const text = String(Number(value.toPrecision(3)))
  return text.replace("-", text.includes("e-") && value > 0 ? "-" : "−")
}

export const pText = (p: number): string => (p < 0.0001 ? "p < 0.0001" : `p = ${number(p)}`)

/** A sentence, or its beginning, with a capital first letter. */
export const capitalised = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`

/** ` at lr=1e-5`; empty without labels. */
export const atLabels = (labels: Labels): string =>
  Object.keys(labels).length === 0 ? "" : ` at ${describeLabels(labels)}`

/** 23.3 % */
export const percent = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`
