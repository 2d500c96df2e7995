import { Context, type Effect } from "effect"

/** How far a unit of work has come; shown to the person who waits for it. */
export class Progress extends Context.Service<
  Progress,
  {
    /** `done` of `total` steps; `note` is a few words such as the current loss. */
    readonly report: (done: number, total: number, note?: string) => Effect.Effect<void>
  }
>()("kasosei/core/Progress") {}
