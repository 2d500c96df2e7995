import { type } from "arktype"
import { component } from "../../api/component.ts"
import { cos } from "../elementary.ts"
import type { ScheduleFunctions } from "../schedule.ts"

/**
 * Falls to 0 at the end along half a cosine (Loshchilov and Hutter 2017, without restarts; transformers'
 * `get_cosine_schedule_with_warmup`).
 */
export const cosineSchedule = component({
  role: "schedule",
  name: "cosine",
  module: import.meta.url,
  options: type({ "+": "reject" }),
  make: (): ScheduleFunctions => ({
    // As float32, so that it does not depend on how an engine rounds cosines.
    factor: (update, updates) => Math.fround((1 + cos((Math.PI * update) / updates)) / 2),
  }),
})
