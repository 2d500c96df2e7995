import { Context, type Effect } from "effect"

/** Displays how far a unit of work has come. */
export class Progress extends Context.Service<
  Progress,
  {
    /** `done` of `total` steps (or bytes); `note` is a few words, such as the current loss. */
    readonly report: (done: number, total: number, note?: string) => Effect.Effect<void>
  }
>()("kasosei/core/Progress") {}
