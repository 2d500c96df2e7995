/** The batch scripts: what they run is quoted for the shell, and what differs from task to task comes from Slurm. */
import type { CommandLine, Submission } from "../../../core/api/launcher.ts"
import { quoted } from "../../../core/io/format.ts"

/** More often than this, a task that never ends within its time is not queued again. */
const mostRestarts = 100

/**
 * The script of an array or a job. The program gets SIGTERM when the job is to end. Some time before its time is over,
 * Slurm sends SIGUSR2: then the program saves its state as well, and the task is queued again.
 *
 * @param about one line that says what it is
 * @param task what follows the command line, as the shell reads it
 */
export const scriptOf = (
  { environment }: Pick<Submission, "environment">,
  about: string,
  command: CommandLine,
  task = "",
): string => `#!/bin/sh
# ${about}
${Object.entries(environment)
  .map(([name, value]) => `export ${name}=${quoted(value)}\n`)
  .join("")}again=
trap 'again=yes; kill -TERM "$program" 2>/dev/null' USR2
trap 'kill -TERM "$program" 2>/dev/null' TERM
${command.map(quoted).join(" ")}${task} &
program=$!
# A signal ends a wait, not the program.
while :; do
  wait "$program"
  code=$?
  kill -0 "$program" 2>/dev/null || break
done
if [ -n "$again" ] && [ "$code" -ne 0 ]; then
  if [ "\${SLURM_RESTART_COUNT:-0}" -lt ${mostRestarts} ]; then
    echo "its time is over: it is queued again, and goes on from its saved state"
    scontrol requeue "\${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}\${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
  else
    echo "its time is over again, after ${mostRestarts} times: it is not queued any more"
  fi
fi
exit "$code"
`

/** What tells a task of an array which one it is. */
export const taskArguments = (level: number, first: number, cpus: number): string =>
  ` ${level} "$((${first} + SLURM_ARRAY_TASK_ID))" --threads ${cpus}`
