/** `bun run store show UNIT`: all that the store knows of a unit. */
import { join } from "node:path"
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import type { Divergence, Failed, Manifest } from "../../engine/store/manifest.ts"
import { inspect } from "../../engine/store/record.ts"
import { attempt } from "../../io/files.ts"
import { formatBytes, formatFlops, formatSeconds } from "../../io/format.ts"
import {
  ageText,
  itemNamed,
  listingOf,
  printJson,
  printLines,
  storeAt,
  storeFlags,
  table,
} from "./listing.ts"
import { stateText } from "./ls.ts"

export const unitArgument = Argument.String("unit").pipe(
  Argument.withDescription("A part of its label, the start of its key, or the folder of its artifact"),
)

export const showCommand = Command.make(
  "show",
  { unit: unitArgument, ...storeFlags },
  Effect.fn("store show")(function* ({ unit, out, json }) {
    const root = yield* storeAt(out)
    const { items, needs } = yield* listingOf(root)
    const item = yield* itemNamed(items, unit)
    const folder = join(root, "artifacts", item.name)
    const found = yield* attempt("read", folder, () => inspect(folder))
    const record = "record" in found ? found.record : undefined
    const takenBy = items.filter(({ inputs = [] }) => inputs.includes(item.key))
    const neededBy = needs.by.get(item.name) ?? []
    if (json) {
      const takers = takenBy.map(({ label, key }) => ({ label, key }))
      return printJson({ folder, state: item.state, note: item.note, record, takenBy: takers, neededBy })
    }
    const stateByKey = new Map(items.map((each) => [each.key, stateText(each)]))
    const rows: (readonly [string, string])[] = [
      ["unit", item.label],
      ["state", `${stateText(item)}${item.note === undefined ? "" : `: ${item.note}`}`],
      ["folder", folder],
      ["key", item.key],
      ...(record === undefined ? [] : aboutRecord(record)),
      ...(record?.inputs ?? []).map(
        ({ name, key, label }) =>
          [`takes ${name}`, `${label} (${stateByKey.get(key) ?? "not there"})`] as const,
      ),
      ...takenBy.map(({ label }) => ["taken by", label] as const),
      ...(neededBy.length === 0 ? ["nothing"] : neededBy).map((report) => ["needed by", report] as const),
    ]
    printLines(table(rows))
  }),
).pipe(
  Command.withDescription("Show how a unit was made, from what, and what takes it"),
  Command.withExamples([
    {
      command: "bun run store show 'arm=vanilla lr=1e-3 seed=2'",
      description: "The one unit whose label has these words",
    },
  ]),
)

type Rows = readonly (readonly [name: string, text: string])[]

const aboutRecord = (record: Manifest | Divergence | Failed): Rows => {
  const made = Date.parse(record.made)
  const when = ["made", `${record.made}, ${ageText(made)} ago`] as const
  return "madeBy" in record ? [when, ...aboutMaking(record)] : [when]
}

const aboutMaking = (record: Manifest | Divergence): Rows => {
  const { seconds, version, plugin, options, accepted = [], madeBy } = record
  const { machine, software, computed, run, cpuSeconds, peakMemory } = madeBy
  const commit = software.commit
  return [
    [
      "took",
      `${formatSeconds(seconds)}, ${formatSeconds(cpuSeconds)} of CPU time, at most ${formatBytes(peakMemory)}`,
    ],
    ...("files" in record ? [["arithmetic", formatFlops(record.flops)] as const] : []),
    ["command", run.command],
    ["pipeline", `${run.pipeline.name} (${run.pipeline.file})`],
    ["parameters", JSON.stringify(run.pipeline.parameters)],
    ["plugin", `${plugin} ${version}`],
    ["options", JSON.stringify(options)],
    [
      "machine",
      `${machine.cpu ?? "unknown"}, ${machine.cores} cores, ${formatBytes(machine.memory)}, ${machine.os}`,
    ],
    [
      "computed",
      computed === null
        ? "without tensors"
        : `${computed.backend} ${computed.precision}, ${computed.instructions ?? "unknown instructions"}, threads ${computed.threads?.join(", ") ?? "its own"}`,
    ],
    ["software", `kasosei ${software.kasosei} on ${software.runtime}`],
    [
      "commit",
      commit === null ? "none" : `${commit.hash}${commit.changed ? ", and files changed since" : ""}`,
    ],
    [
      "packages",
      Object.entries(software.packages)
        .map(([name, of]) => `${name} ${of}`)
        .join(", "),
    ],
    ...Object.entries(record.parts.read).map(([path, digest]) => ["read", `${path} (${digest})`] as const),
    ...accepted.map(
      ({ from, changed, when }) => ["accepted", `${when} from ${from}: ${changed.join(", ")}`] as const,
    ),
    ...("files" in record
      ? [
          ["digest", record.digest] as const,
          ...record.missing.map((key) => ["without", key] as const),
          ...record.files.map(
            ({ path, bytes, sha256 }) => ["file", `${path}, ${formatBytes(bytes)}, ${sha256}`] as const,
          ),
        ]
      : []),
  ]
}
