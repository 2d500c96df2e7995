/** How tensors are computed: options that commands share. */
import { availableParallelism } from "node:os"
import { Effect, Option } from "effect"
import { Flag } from "effect/cli"
import { type ComputeSettings, precisions } from "../tensor/backend.ts"
import { exitWith } from "./exit.ts"

export const computeFlags = {
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

/**
 * How each of so many processes side by side usesBackend: with the threads that were asked for, else its share of the
 * cores.
 */
export const computeSettingsOf = Effect.fnUntraced(function* (wanted: {
  readonly threads: Option.Option<number>
  readonly precision: ComputeSettings["precision"]
}) {
  const asked = Option.getOrUndefined(wanted.threads)
  if (asked !== undefined && (asked < 1 || asked > 1024)) {
    return yield* exitWith(2, `--threads ${asked}: a number from 1 to 1024 was expected`)
  }
  return (processes: number): ComputeSettings => ({
    threads: asked ?? Math.max(1, Math.floor(availableParallelism() / processes)),
    precision: wanted.precision,
  })
})
