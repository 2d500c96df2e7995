import { type } from "arktype"
import { component } from "../../api/component.ts"
import type { ScheduleFunctions } from "../schedule.ts"

/** Falls linearly to 0 at the end (Devlin et al. 2019; transformers' `get_linear_schedule_with_warmup`). */
export const linearSchedule = component({
  role: "schedule",
  name: "linear",
  module: import.meta.url,
  options: type({ "+": "reject" }),
  make: (): ScheduleFunctions => ({ factor: (update, updates) => (updates - update) / updates }),
})
