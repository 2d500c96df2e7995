import { plugin } from "../../core/api/plugin.ts"
import { mnliTask } from "./shared/glue/mnli.ts"
import { GlueOptions, glueTask } from "./shared/glue/plugin.ts"

/** MNLI of GLUE, with the mismatched dev set: does the premise entail the hypothesis, contradict it, or neither? */
export const mnliMismatched = plugin({
  name: "mnli-mismatched",
  version: 1,
  module: import.meta.url,
  summary:
    "MNLI of GLUE, mismatched dev set: does the premise entail the hypothesis, contradict it, or neither?",
  options: GlueOptions,
  ...glueTask(mnliTask("mismatched", 9832)),
})
