import { plugin } from "../../core/api/plugin.ts"
import { mnliTask } from "./shared/glue/mnli.ts"
import { GlueOptions, glueTask } from "./shared/glue/plugin.ts"

/** MNLI of GLUE, with the matched dev set: does the premise entail the hypothesis, contradict it, or neither? */
export const mnli = plugin({
  name: "mnli",
  version: 1,
  module: import.meta.url,
  summary:
    "MNLI of GLUE, matched dev set: does the premise entail the hypothesis, contradict it, or neither?",
  options: GlueOptions,
  ...glueTask(mnliTask("matched", 9815)),
})
