import { Effect } from "effect"
import { badLine, quoted } from "../shared/bad-line.ts"
import { readParquet } from "../shared/parquet.ts"
import { readTsv } from "../shared/tsv.ts"
import type { GlueTask } from "./tasks.ts"

/** An example as text. */
export interface GlueExample {
  readonly first: string
  readonly second: string | undefined
  /** An index into the task's label names. */
  readonly label: number
}

/** The examples of a TSV file in GLUE's own format. */
export const examplesOfTsv = Effect.fnUntraced(function* (task: GlueTask, path: string) {
  const rows = yield* readTsv(path, task.layout)
  const columnOf = (name: string) => task.layout.columns.indexOf(name)
  return yield* Effect.forEach(rows, ({ line, cells }) => {
    const written = cells[columnOf("label")]!
    const sentences = task.sentences.map((name) => cells[columnOf(name)]!)
    return example(
      task,
      path,
      `line ${line}`,
      sentences,
      task.written.indexOf(written),
      quoted(written),
      task.written,
    )
  })
})

/** The examples of a parquet file of the hub's copy of GLUE, where labels are numbers. */
export const examplesOfParquet = Effect.fnUntraced(function* (task: GlueTask, path: string) {
  const rows = yield* readParquet(path, [...task.sentences, "label"])
  const expected = task.labelNames.map((name, i) => `${i} (${name})`)
  return yield* Effect.forEach(rows, (cells, i) => {
    const sentences = cells.slice(0, -1)
    const written = cells.at(-1)
    const label = typeof written === "bigint" || typeof written === "number" ? Number(written) : -1
    return example(task, path, `row ${i + 1}`, sentences, label, String(written), expected)
  })
})

const example = Effect.fnUntraced(function* (
  task: GlueTask,
  path: string,
  where: string,
  sentences: readonly unknown[],
  label: number,
  written: string,
  expected: readonly string[],
) {
  for (const [i, sentence] of sentences.entries()) {
    if (typeof sentence === "string" && sentence.trim() !== "") continue
    const found = sentence === "" ? "nothing" : quoted(String(sentence))
    return yield* badLine(path, where, found, `text as ${task.sentences[i]!}`)
  }
  if (task.labelNames[label] === undefined) {
    return yield* badLine(path, where, written, `the label to be one of ${expected.join(", ")}`)
  }
  const [first, second] = sentences as readonly string[]
  return { first: first!, second, label } satisfies GlueExample
})
