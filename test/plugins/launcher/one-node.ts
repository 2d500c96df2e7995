/** A Slurm of one node on this machine, with two GPUs that are none, in a folder of its own. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { untilEnded } from "../../core/cli/command-line.ts"

const run = (program: string, ...args: readonly string[]) => spawnSync(program, args, { encoding: "utf8" })
const has = (program: string): boolean => run("sh", "-c", `command -v ${program}`).status === 0

/** Why Slurm cannot be had here; undefined if it can. Installs it, if `KASOSEI_SLURM=1` allows that. */
export const whyNoSlurm = (): string | undefined => {
  if (process.env["KASOSEI_SLURM"] !== "1") return "KASOSEI_SLURM=1 is not set"
  if (process.getuid?.() !== 0) return "it needs root"
  if (has("slurmctld") && has("slurmd") && has("munged")) return undefined
  if (!has("apt-get")) return "there is no apt-get to install it"
  run("apt-get", "update")
  const { status } = run("apt-get", "install", "-y", "--no-install-recommends", "slurm-wlm", "munge")
  return status === 0 ? undefined : "slurm-wlm and munge cannot be installed"
}

export class OneNode {
  readonly name = hostname().split(".")[0]!
  /** What Slurm's programs need to find it. */
  readonly environment: Readonly<Record<string, string>>
  private startedMunge = false

  constructor(
    private readonly folder: string,
    port: number,
  ) {
    const conf = join(folder, "slurm.conf")
    this.environment = { SLURM_CONF: conf }
    for (const part of ["ctld", "d", "cg"]) fs.mkdirSync(join(folder, part), { recursive: true })
    fs.writeFileSync(
      conf,
      `ClusterName=kasosei
SlurmctldHost=${this.name}(127.0.0.1)
SlurmctldPort=${port}
SlurmdPort=${port + 1}
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation=${folder}/ctld
SlurmdSpoolDir=${folder}/d
SlurmctldPidFile=${folder}/ctld.pid
SlurmdPidFile=${folder}/d.pid
SlurmctldLogFile=${folder}/ctld.log
SlurmdLogFile=${folder}/d.log
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MaxArraySize=10001
GresTypes=gpu
NodeName=${this.name} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=${this.name} Default=YES MaxTime=INFINITE State=UP
`,
    )
    fs.writeFileSync(join(folder, "gres.conf"), "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n")
    fs.writeFileSync(join(folder, "cgroup.conf"), `CgroupPlugin=cgroup/v1\nCgroupMountpoint=${folder}/cg\n`)
  }

  async start(): Promise<void> {
    if (run("munge", "-n").status !== 0) {
      fs.mkdirSync("/run/munge", { recursive: true })
      run("chown", "munge", "/run/munge")
      run("su", "-s", "/bin/sh", "munge", "-c", "munged")
      this.startedMunge = true
    }
    for (const daemon of ["slurmctld", "slurmd"]) this.ask(daemon)
    for (let tries = 0; this.ask("sinfo", "--noheader", "--format=%t") !== "idle"; tries++) {
      if (tries > 100) throw new Error(`the node does not become idle: ${this.ask("sinfo")}`)
      await Bun.sleep(200)
    }
  }

  /** What one of Slurm's programs prints. */
  ask(program: string, ...args: readonly string[]): string {
    const { stdout, stderr } = spawnSync(program, args, {
      encoding: "utf8",
      env: { ...process.env, ...this.environment },
    })
    return `${stdout}${stderr}`.trim()
  }

  /** Ends what it has started; the daemons write their state until they have ended. */
  async stop(): Promise<void> {
    this.ask("scancel", "--me")
    const files = [
      ...["d.pid", "ctld.pid"].map((name) => join(this.folder, name)),
      ...(this.startedMunge ? ["/run/munge/munged.pid"] : []),
    ]
    const pids = files.flatMap((path) => (fs.existsSync(path) ? [Number(fs.readFileSync(path, "utf8"))] : []))
    for (const pid of pids) process.kill(pid, "SIGTERM")
    await untilEnded(pids)
  }
}
