import { Effect } from "effect"
import { badLine } from "../bad-line.ts"
import { checked, classOf, type LabelledText, type Place, scoreOf, textOf } from "../labelled.ts"
import { readParquet } from "../parquet.ts"
import { readTsv } from "../tsv.ts"
import type { GlueFiles } from "./files.ts"
import type { GlueParquet, GlueTask, GlueTsv } from "./task.ts"

/** Of all scores, which are those of STS-B. */
const scores = [0, 5] as const

/**
 * The examples of a task's two files.
 *
 * @param first how many rows of each to read; all of a file that is not split, or by default
 */
export const examplesOf = Effect.fnUntraced(function* (
  task: GlueTask,
  { layout, train, dev }: GlueFiles,
  first?: number,
) {
  if ("folder" in layout) {
    return {
      train: yield* examplesOfParquet(task, layout, train, first),
      dev: yield* examplesOfParquet(task, layout, dev, first),
    }
  }
  return layout.devIds === undefined
    ? {
        train: yield* examplesOfTsv(task, layout, train, first),
        dev: yield* examplesOfTsv(task, layout, dev, first),
      }
    : yield* splitByIds(task, { ...layout, devIds: layout.devIds }, train, dev)
})

/** The examples of one of the task's own files. */
export const examplesOfTsv = (task: GlueTask, layout: GlueTsv, path: string, first?: number) =>
  Effect.map(labelledRows(task, layout, path, [], first), (rows) => rows.map(({ example }) => example))

const labelledRows = Effect.fnUntraced(function* (
  task: GlueTask,
  layout: GlueTsv,
  path: string,
  ids: readonly string[],
  first = Number.POSITIVE_INFINITY,
) {
  const { headless, sentences, label, leaveOutShort = false } = layout
  const columns = headless ?? [...sentences, label, ...ids]
  const rows = yield* readTsv(path, { columns, header: headless === undefined, leaveOutShort, first })
  const cellOf = (cells: readonly string[], column: string) => cells[columns.indexOf(column)]!
  const written = layout.written ?? task.labelNames
  return yield* checked(path, () =>
    rows.map(({ line, cells }) => {
      const place = { path, where: `line ${line}` }
      const cell = cellOf(cells, label)
      const example: LabelledText = {
        ...textsOf(
          task,
          place,
          layout,
          sentences.map((column) => cellOf(cells, column)),
        ),
        label: written === null ? scoreOf(place, cell, scores) : classOf(place, written, cell),
      }
      return { example, id: ids.map((column) => cellOf(cells, column)).join("\t") }
    }),
  )
})

const textsOf = (
  { emptyText = false }: GlueTask,
  place: Place,
  { sentences }: GlueTsv | GlueParquet,
  cells: readonly unknown[],
) => textOf(place, sentences, cells, emptyText)

/** A file that is not split, by the file of the ids of its dev split: how GLUE splits MRPC. */
const splitByIds = Effect.fnUntraced(function* (
  task: GlueTask,
  layout: GlueTsv & { readonly devIds: readonly string[] },
  path: string,
  idsPath: string,
) {
  const { devIds } = layout
  const rows = yield* labelledRows(task, layout, path, devIds)
  const listed = yield* readTsv(idsPath, { columns: devIds, header: false })
  const known = new Set(rows.map(({ id }) => id))
  for (const { line, cells } of listed) {
    if (known.has(cells.join("\t"))) continue
    return yield* badLine(idsPath, `line ${line}`, cells.join(" "), `ids of a row of ${path}`)
  }
  const dev = new Set(listed.map(({ cells }) => cells.join("\t")))
  const examplesWhere = (isDev: boolean) =>
    rows.flatMap(({ id, example }) => (dev.has(id) === isDev ? [example] : []))
  return { train: examplesWhere(false), dev: examplesWhere(true) }
})

/** The examples of a parquet file of the hub's copy, where classes are numbers. */
const examplesOfParquet = Effect.fnUntraced(function* (
  task: GlueTask,
  layout: GlueParquet,
  path: string,
  first?: number,
) {
  const rows = yield* readParquet(path, [...layout.sentences, layout.label], first)
  const { labelNames } = task
  return yield* checked(path, () =>
    rows.map((cells, i): LabelledText => {
      const place = { path, where: `row ${i + 1}` }
      const label = cells.at(-1)
      return {
        ...textsOf(task, place, layout, cells.slice(0, -1)),
        label:
          labelNames === null ? scoreOf(place, decimalOf(label), scores) : indexOf(place, labelNames, label),
      }
    }),
  )
})

/** The hub's scores are in float32, so that 3.8 is 3.799999952316284 there; seven digits give the decimal back. */
const decimalOf = (score: unknown): unknown =>
  typeof score === "number" ? Number(score.toPrecision(7)) : score

const indexOf = ({ path, where }: Place, labelNames: readonly string[], cell: unknown): number => {
  const label = typeof cell === "bigint" || typeof cell === "number" ? Number(cell) : -1
  if (labelNames[label] !== undefined) return label
  const expected = labelNames.map((name, i) => `${i} (${name})`).join(", ")
  throw badLine(path, where, String(cell), `the label to be one of ${expected}`)
}
