import type { MadeBy, Maker, Provenance, UnitProvenance } from "../../../core/api/provenance.ts"
import { formatBytes, formatSeconds, plural, shortNumber } from "../../../core/io/format.ts"
import { facts, htmlPage, section } from "./page.ts"
import { left, right, type Table, text } from "./table.ts"

/** Everything that may differ between two equal studies, as JSON and as a page. */
export const provenancePages = (title: string, provenance: Provenance): ReadonlyMap<string, string> =>
  new Map([
    ["provenance.html", provenancePage(title, provenance)],
    ["provenance.json", `${JSON.stringify(provenance, null, 2)}\n`],
  ])

// --- what is the same for equal studies --------------------------------------------------------------------

/** What the report's page says: pipeline, parameters, backend, precision, version. */
export const settledFacts = (
  { pipeline, units, madeBy }: Provenance,
  backend: string,
): Readonly<Record<string, string>> => ({
  pipeline: pipeline.name,
  parameters: parametersText(pipeline.parameters),
  backend,
  precision: precisionsOf(units).join(", ") || "unknown",
  software: `kasosei ${madeBy.software.kasosei}`,
})

/** The precisions of all tensors that the results are made from: one, unless artifacts are old. */
export const precisionsOf = (units: readonly UnitProvenance[]): readonly string[] =>
  [...new Set(units.flatMap(({ madeBy }) => madeBy?.computed?.precision ?? []))].sort()

/** Data and models: each with all options and the digest of its content. */
export const materialsTable = ({ units }: Provenance): Table => {
  const materials = units.filter(({ stage }) => stage === "data" || stage === "pretrain")
  return {
    name: "materials",
    title: "Data and models",
    columns: [left("unit"), left("plugin"), text("options"), left("content")],
    rows: materials.map(({ label, plugin, version, options, digest }) => [
      label,
      `${plugin} ${version}`,
      optionsText(options),
      digest === null ? "none" : digest.slice(0, 16),
    ]),
    notes: [
      "Content: the first digits of a digest of all files of the artifact; equal digests, equal content. Dates, machine, threads, and the same for every run and probe: provenance.html and provenance.json.",
    ],
    data: {
      columns: ["unit", "stage", "plugin", "version", "options", "key", "content"],
      rows: materials.map(({ label, stage, plugin, version, options, key, digest }) => [
        ...[label, stage, plugin, version, JSON.stringify(options), key, digest],
      ]),
    },
  }
}

/** Runs and probes: of each plugin all options, those that differ among its units with all their values. */
export const methodsTable = ({ units }: Provenance): Table => {
  const methods = units.filter(({ stage }) => stage === "finetune" || stage === "probe")
  const plugins = [...Map.groupBy(methods, ({ plugin, version }) => `${plugin} ${version}`)].map(
    ([plugin, of]) => ({ plugin, units: of.length, options: valuesByOption(of) }),
  )
  return {
    name: "methods",
    title: "Runs and probes",
    columns: [left("plugin"), right("units"), text("options")],
    rows: plugins.map(({ plugin, units: count, options }) => [
      plugin,
      String(count),
      options
        .map(({ name, values }) => {
          const shown = values.slice(0, mostValues).join(" | ")
          return `${name} ${shown}${values.length > mostValues ? ` and ${values.length - mostValues} more` : ""}`
        })
        .join(", "),
    ]),
    notes: plugins.length === 0 ? ["There are none."] : [],
    data: {
      columns: ["plugin", "units", "option", "value"],
      rows: plugins.flatMap(({ plugin, units: count, options }) =>
        options.flatMap(({ name, values }) => values.map((value) => [plugin, count, name, value])),
      ),
    },
  }
}

/** On the page; the file beside it has all. */
const mostValues = 12

const valuesByOption = (units: readonly UnitProvenance[]) => {
  const names = [...new Set(units.flatMap(({ options }) => Object.keys(options)))]
  return names.map((name) => ({
    name,
    values: [...new Set(units.map(({ options }) => (name in options ? plain(options[name]) : "none")))],
  }))
}

const parametersText = (parameters: Readonly<Record<string, unknown>>): string =>
  Object.entries(parameters)
    // In one order, whatever that of the command line.
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${Array.isArray(value) ? value.map(plain).join(",") : plain(value)}`)
    .join(" ") || "none"

const optionsText = (options: Readonly<Record<string, unknown>>): string =>
  Object.entries(options)
    .map(([name, value]) => `${name} ${plain(value)}`)
    .join(", ")

const plain = (value: unknown): string => {
  if (typeof value === "number") return shortNumber(value)
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "none")
}

// --- what may differ ---------------------------------------------------------------------------------------

const provenancePage = (title: string, { command, pipeline, madeBy, units }: Provenance): string =>
  htmlPage(
    `Provenance of "${title}"`,
    `<p><a href="index.html">The report</a> · <a href="provenance.json">all of this as JSON</a></p>
<h2>Command</h2>
${facts({
  command,
  pipeline: `${pipeline.name} (${pipeline.file})`,
  parameters: parametersText(pipeline.parameters),
})}
<h2>Report made by</h2>
${facts(madeByText(madeBy))}
${section({ title: "Made from", parts: [unitsTable(units)] })}`,
  )

const madeByText = ({ machine, software }: Maker): Readonly<Record<string, string>> => ({
  machine: `${machine.cpu ?? "unknown processor"}, ${machine.cores} cores, ${formatBytes(machine.memory)}, ${machine.os}`,
  software: `kasosei ${software.kasosei} on ${software.runtime}`,
  commit:
    software.commit === null
      ? "none"
      : `${software.commit.hash}${software.commit.changed ? ", and files changed since" : ""}`,
  packages: Object.entries(software.packages)
    .map(([name, version]) => `${name} ${version}`)
    .join(", "),
})

const unitsTable = (units: readonly UnitProvenance[]): Table => {
  // What units have in common is said once: most are made by the same machine and software.
  const makers = [...new Set(units.map(({ madeBy }) => makerText(madeBy)))]
  return {
    name: "units",
    title: "Units",
    columns: [
      ...[left("unit"), left("plugin"), left("outcome"), left("made"), right("took")],
      ...[left("computed"), right("by"), left("content"), left("key")],
    ],
    rows: units.map((unit) => [
      unit.label,
      `${unit.plugin} ${unit.version}`,
      unit.reason === null ? unit.state : `${unit.state}: ${unit.reason}`,
      unit.made ?? "unknown",
      unit.seconds === null ? "unknown" : formatSeconds(unit.seconds),
      computedText(unit.madeBy),
      String(makers.indexOf(makerText(unit.madeBy)) + 1),
      unit.digest?.slice(0, 16) ?? "none",
      unit.key.slice(0, 16),
    ]),
    notes: makers.map((maker, i) => `By ${i + 1}: ${maker}.`),
    data: { columns: [], rows: [] },
  }
}

const makerText = (madeBy: MadeBy | null): string => {
  if (madeBy === null) return "unknown: it is not there"
  const { machine, software, commit } = madeByText(madeBy)
  return `${machine}; ${software}; commit ${commit}`
}

const computedText = (madeBy: MadeBy | null): string => {
  if (madeBy === null) return "unknown"
  if (madeBy.computed === null) return "without tensors"
  const { backend, precision, instructions, threads } = madeBy.computed
  return [
    backend,
    precision,
    ...(instructions === null ? [] : [instructions]),
    ...(threads === null
      ? []
      : [threads.length === 1 ? plural(threads[0]!, "thread") : `${threads.join(" to ")} threads`]),
  ].join(", ")
}
