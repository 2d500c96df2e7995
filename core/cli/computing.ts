/** How tensors are computed: options that commands share. */
import { Effect, Option } from "effect"
import { Flag } from "effect/cli"
import { type Computing, precisions } from "../tensor/backend.ts"
import { exitWith } from "./exit.ts"

export const computingFlags = {
  backend: Flag.String("backend").pipe(
    Flag.withDescription("The tensor backend: auto, or a name that `bun run doctor` lists"),
    Flag.withDefault("auto"),
  ),
  threads: Flag.Int("threads").pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("Threads of each process (default: the cores, shared among the processes)"),
    Flag.optional,
  ),
  precision: Flag.Literals("precision", precisions).pipe(
    Flag.withDescription("Products of matrices from fp32 numbers, or rounded to bf16 (sums stay fp32)"),
    Flag.withDefault("fp32" as const),
  ),
}

/** @param share threads of one process where none were asked for */
export const computingOf = Effect.fnUntraced(function* (
  wanted: { readonly threads: Option.Option<number>; readonly precision: Computing["precision"] },
  share: number,
) {
  const threads = Option.getOrElse(wanted.threads, () => share)
  if (threads < 1 || threads > 1024) {
    return yield* exitWith(2, `--threads ${threads}: a number from 1 to 1024 was expected`)
  }
  return { threads, precision: wanted.precision } satisfies Computing
})
