import { type } from "arktype"
import { component } from "../../api/component.ts"
import type { ScheduleFunctions } from "../schedule.ts"

/** Stays at the peak (transformers' `get_constant_schedule_with_warmup`). */
export const constantSchedule = component({
  role: "schedule",
  name: "constant",
  module: import.meta.url,
  options: type({ "+": "reject" }),
  make: (): ScheduleFunctions => ({ factor: () => 1 }),
})
