/** Labelled sentences and pairs of sentences as text, and the checks that every source of them shares. */
import { Effect } from "effect"
import { Progress } from "../../../core/api/progress.ts"
import type { Examples, Split } from "../../../core/artifacts/examples.ts"
import type { Vocabulary } from "../../../core/artifacts/vocabulary.ts"
import { type FileError, fileError } from "../../../core/io/files.ts"
import { tokenizerOf } from "../../model/tokenizer.ts"
import { badLine, quoted } from "./bad-line.ts"
import { encodeAll, type Text } from "./encode.ts"

/** An example as text. */
export interface LabelledText extends Text {
  /** A class's index, or a score. */
  readonly label: number
}

/** Where an example was read: a file, and a line or row of it. */
export interface Place {
  readonly path: string
  readonly where: string
}

/** Runs what throws a {@link FileError} about a file. */
export const checked = <A>(path: string, body: () => A): Effect.Effect<A, FileError> =>
  Effect.try({ try: body, catch: (cause) => fileError("read", path, cause) })

/**
 * The one or two sentences of an example.
 *
 * @param columns the names of their columns
 * @throws FileError if one is not text, or has only spaces and must not be empty
 */
export const textOf = (
  { path, where }: Place,
  columns: readonly string[],
  cells: readonly unknown[],
  mayBeEmpty: boolean,
): Text => {
  for (const [i, cell] of cells.entries()) {
    if (typeof cell === "string" && (mayBeEmpty || cell.trim() !== "")) continue
    const found = cell === "" ? "nothing" : quoted(String(cell))
    throw badLine(path, where, found, `text as ${columns[i]!}`)
  }
  const [first, second] = cells as readonly string[]
  return { first: first!, second }
}

/** @throws FileError if the cell is not one of the labels as they are written in the file */
export const classOf = ({ path, where }: Place, written: readonly string[], cell: string): number => {
  const label = written.indexOf(cell)
  if (label >= 0) return label
  throw badLine(path, where, quoted(cell), `the label to be one of ${written.join(", ")}`)
}

const decimal = /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i

/** @throws FileError if the cell is not a number, or outside of the range */
export const scoreOf = (
  { path, where }: Place,
  cell: unknown,
  [low, high]: readonly [number, number] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
): number => {
  const isNumber = typeof cell === "string" ? decimal.test(cell) : ["number", "bigint"].includes(typeof cell)
  const score = isNumber ? Number(cell) : Number.NaN
  if (Number.isFinite(score) && score >= low && score <= high) return score
  const expected = Number.isFinite(high) ? `a score from ${low} to ${high}` : "a finite number as score"
  throw badLine(path, where, quoted(String(cell)), expected)
}

/** The task's examples, tokenised: each example is truncated to `maxLength` tokens. */
export const encodeSplits = Effect.fnUntraced(function* (
  vocabulary: Vocabulary,
  { train, dev }: Readonly<Record<"train" | "dev", readonly LabelledText[]>>,
  {
    labelNames,
    metrics,
    maxLength,
  }: Pick<Examples, "labelNames" | "metrics"> & { readonly maxLength: number },
) {
  const progress = yield* Progress
  const tokenizer = tokenizerOf(vocabulary)
  const encode = Effect.fnUntraced(function* (name: string, texts: readonly LabelledText[], done: number) {
    yield* progress.report(done, train.length + dev.length, name)
    const sequences = yield* encodeAll(tokenizer, texts, maxLength)
    return { sequences, labels: Float64Array.from(texts, ({ label }) => label) } satisfies Split
  })
  return {
    labelNames,
    metrics,
    train: yield* encode("train", train, 0),
    dev: yield* encode("dev", dev, train.length),
    special: vocabulary.special,
    vocabularySize: vocabulary.tokens.length,
  } satisfies Examples
})
