import { Data } from "effect"

/**
 * A unit of work cannot finish for a reason of its own: its loss is NaN, or its method cannot handle the data.
 * The rest of the study continues without it.
 */
export class UnitFailure extends Data.TaggedError("UnitFailure")<{
  /** `diverged`: training itself failed, which is a result of the study. `failed`: anything else. */
  readonly outcome: "diverged" | "failed"
  readonly reason: string
  /** The training step at which it happened, if any. */
  readonly step?: number
}> {
  override get message() {
    return this.step === undefined ? this.reason : `step ${this.step}: ${this.reason}`
  }
}
