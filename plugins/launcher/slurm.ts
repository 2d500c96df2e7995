import { type } from "arktype"
import { Effect } from "effect"
import { launcher } from "../../core/api/launcher.ts"
import { cancelLine, checkPrograms, unfinishedJobs } from "./slurm/programs.ts"
import { readSubmitted } from "./slurm/record.ts"
import { submitArrays } from "./slurm/submit.ts"
import { isTime } from "./slurm/time.ts"

const Name = type("/^[^\\s,]+$/").describe("a name without spaces or commas")
const Count = type("number.integer >= 1")

const aTime = "a time as sbatch takes it, such as 12:00:00 or 2-00"

/** How many tasks run at a time, unless `--jobs` says otherwise. */
const usualTasks = 32
/** The threads of a task that computes with tensors, unless somebody says otherwise. */
const usualThreads = 4

/** Job arrays of Slurm, one or more for each level of the plan, and a last job that publishes the report. */
export const slurm = launcher({
  name: "slurm",
  module: import.meta.url,
  summary:
    "Job arrays on a Slurm cluster whose machines all see the project and --out; --jobs tasks at a time (default: 32)",
  options: type({
    "+": "reject",
    /** Where the tasks run; by default the cluster's default partition. */
    "partition?": Name,
    "account?": Name,
    "qos?": Name,
    /** Of each task that computes with tensors; by default gpu:1 on a backend that needs a GPU. */
    "gres?": type("/^\\S+$/").describe("text as sbatch --gres takes it, such as gpu:1"),
    /** Of each task; by default four times what the plan expects, or as long as the partition allows. A task that needs more saves its state and is queued again. */
    "time?": type("string")
      .narrow((text, context) => isTime(text) || context.mustBe(aTime))
      .describe(aTime),
    /** Of each task; by default somewhat more than the plan expects. */
    "memory?": type("/^\\d+[KMGT]?$/").describe("a size as sbatch --mem takes it, such as 16G"),
    /** Of each task that computes with tensors; by default --threads, or 4. */
    "cpus?": Count,
    /** The tasks of one array; by default the cluster's MaxArraySize. */
    "arraySize?": Count,
  }),
  check: checkPrograms,
  slots: ({ cpus }, { jobs, threads }) =>
    Effect.succeed({ processes: jobs ?? usualTasks, threads: cpus ?? threads ?? usualThreads }),
  queue: {
    submit: submitArrays,
    unfinished: unfinishedJobs,
    submitted: (folder) =>
      Effect.map(readSubmitted(folder), (jobs) => jobs && { jobs, cancel: cancelLine(jobs) }),
  },
})
