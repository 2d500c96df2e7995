import { Data } from "effect"

/**
 * A unit of work that cannot be finished for a reason of its own: a loss that is not a number, data that a
 * method cannot work with. The study goes on without it.
 */
export class UnitFailure extends Data.TaggedError("UnitFailure")<{
  /** `diverged`: the training itself failed, a result of the study. `failed`: anything else. */
  readonly outcome: "diverged" | "failed"
  readonly reason: string
  /** The training step at which it happened, where there is one. */
  readonly step?: number
}> {
  override get message() {
    return this.step === undefined ? this.reason : `step ${this.step}: ${this.reason}`
  }
}
