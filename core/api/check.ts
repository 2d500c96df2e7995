import type { Effect } from "effect"
import type { InvalidInput } from "../io/decode.ts"
import type { FileError } from "../io/files.ts"
import type { Precision } from "./precision.ts"
import type { Quantity } from "./quantity.ts"

/**
 * Compares this installation with reference figures in a folder, on the backend that is running.
 * `bun run doctor` runs every check in `plugins/check`.
 */
export interface Check {
  readonly kind: "check"
  /** Lower case with hyphens, unique among the checks. */
  readonly name: string
  /** One line: what is compared. */
  readonly summary: string
  /**
   * @param precision in which the backend computes: it decides the tolerances
   * @throws FileError, InvalidInput if the folder does not have the layout that this check compares
   */
  readonly compare: (
    folder: string,
    precision: Precision,
  ) => Effect.Effect<readonly Quantity[], FileError | InvalidInput>
}

/** Declares a check. */
export const check = (definition: Omit<Check, "kind">): Check => ({ ...definition, kind: "check" })
