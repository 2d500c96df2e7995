/** What was measured, as a table for people. */
import { type } from "arktype"
import type { Measured } from "./measurements.ts"

/** The figures of a bench that the table shows. */
const Figures = type({
  median_s: "number",
  real_tokens_per_step: "number",
  gflops: "number",
  product_peak_gflops: "number",
  of_peak: "number",
  "queued_per_step?": "number",
  "device_mib?": "number",
  peak_rss_mib: "number",
})

const Doctor = type({
  backends: type({ details: "string[]", problem: "string | null" }).array(),
  comparisons: type({ quantities: "unknown[]" }).array(),
  off: "number",
})

const Tests = type({ passed: "number", failed: "number", skipped: "number", failures: "string[]" })

const header = [
  "",
  "ms/step",
  "tokens/s",
  "TFLOP/s",
  "of peak",
  "peak",
  "queued",
  "GPU MiB",
  "RSS MiB",
] as const

const digits = (value: number): string => String(Number(value.toPrecision(3)))

const row = ({ title, found, problem }: Measured): readonly string[] => {
  const figures = Figures(found)
  if (figures instanceof type.errors) return [title, problem ?? "no figures"]
  const { median_s, real_tokens_per_step, gflops, product_peak_gflops, of_peak } = figures
  return [
    title,
    digits(1000 * median_s),
    digits(real_tokens_per_step / median_s),
    digits(gflops / 1000),
    digits(of_peak),
    digits(product_peak_gflops / 1000),
    String(figures.queued_per_step ?? ""),
    String(figures.device_mib ?? ""),
    String(figures.peak_rss_mib),
  ]
}

/** All benches, a line each. */
const benchLines = (measured: readonly Measured[]): readonly string[] => {
  const rows = [header, ...measured.map(row)]
  const widths = header.map((_, column) =>
    Math.max(
      ...rows.map((cells) => (cells.length < header.length && column > 0 ? 0 : (cells[column]?.length ?? 0))),
    ),
  )
  return rows.map((cells) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd(),
  )
}

/** What doctor and the tests say, some lines each. */
const checkLines = ({ title, kind, found, problem }: Measured): readonly string[] => {
  if (kind === "tests") {
    const tests = Tests(found)
    if (tests instanceof type.errors) return [`${title}: ${problem}`]
    return [
      `${title}: ${tests.passed} passed, ${tests.failed} failed, ${tests.skipped} skipped`,
      ...tests.failures.map((failure) => `  ${failure}`),
    ]
  }
  const doctor = Doctor(found)
  if (doctor instanceof type.errors) return [`${title}: ${problem ?? "it says nothing"}`]
  const compared = doctor.comparisons.reduce((sum, { quantities }) => sum + quantities.length, 0)
  return [
    `${title}: ${compared} quantities compared, ${doctor.off} off`,
    ...doctor.backends.flatMap(({ details, problem: wrong }) =>
      [...details, ...(wrong === null ? [] : [wrong])].map((line) => `  ${line}`),
    ),
  ]
}

export const tableLines = (measured: readonly Measured[]): readonly string[] => [
  ...measured.filter(({ kind }) => kind !== "bench").flatMap(checkLines),
  "",
  ...benchLines(measured.filter(({ kind }) => kind === "bench")),
]
