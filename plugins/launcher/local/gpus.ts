/** The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them, and what is known of them. */
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** How long `nvidia-smi` may take, ms: it starts the driver where nothing else has. */
const longestQuery = 20_000

/**
 * Those in `CUDA_VISIBLE_DEVICES`, if it is set; else all that the driver lists.
 *
 * @param list prints what `nvidia-smi -L` does; undefined where there is none
 * @param driver the folder in which the driver describes its GPUs
 */
export const visibleGpus = (
  chosen = process.env["CUDA_VISIBLE_DEVICES"],
  list: () => string | undefined = listed,
  driver = "/proc/driver/nvidia/gpus",
): readonly string[] => {
  if (chosen !== undefined) return chosenGpus(chosen)
  const text = list()
  return text === undefined ? describedGpus(driver) : listedGpus(text)
}

export interface Gpu {
  /** As `CUDA_VISIBLE_DEVICES` names it. */
  readonly id: string
  /** What is known of it; undefined if nobody tells. */
  readonly known: KnownGpu | undefined
}

export interface KnownGpu {
  readonly model: string
  /** The bytes of its memory that are free. */
  readonly free: number
  /** Whether one process has it for itself. */
  readonly isExclusive: boolean
}

const query = ["--query-gpu=index,uuid,name,memory.free,compute_mode", "--format=csv,noheader,nounits"]

/**
 * What `nvidia-smi` says of GPUs. It tells nothing of the parts of one (MIG), nor what a number stands for if CUDA is
 * told to count GPUs in another order.
 *
 * @param ids as `CUDA_VISIBLE_DEVICES` names them
 * @param table prints what `nvidia-smi` answers to a query for index, UUID, name, free memory in MiB and compute mode
 */
export const describedBy = (
  ids: readonly string[],
  table: () => string | undefined = () => asked(query),
  order = process.env["CUDA_DEVICE_ORDER"] ?? "PCI_BUS_ID",
): readonly Gpu[] => {
  const rows = (table() ?? "").split("\n").map((line) => line.split(",").map((value) => value.trim()))
  return ids.map((id) => {
    const row = /^\d+$/.test(id)
      ? rows.find(([index]) => order === "PCI_BUS_ID" && index === String(Number(id)))
      : // CUDA takes the beginning of a UUID, too.
        rows.find(([, uuid]) => id.startsWith("GPU-") && uuid?.startsWith(id))
    const [, , model = "", free, mode = ""] = row ?? []
    const mebibytes = free === undefined || free === "" ? Number.NaN : Number(free)
    const isExclusive = mode.startsWith("Exclusive")
    return { id, known: mebibytes >= 0 ? { model, free: mebibytes * 2 ** 20, isExclusive } : undefined }
  })
}

const asked = (args: readonly string[]): string | undefined => {
  const { status, stdout } = spawnSync("nvidia-smi", args, { encoding: "utf8", timeout: longestQuery })
  return status === 0 ? stdout : undefined
}

const listed = (): string | undefined => asked(["-L"])

/** CUDA sees those before the first that is none, such as -1 or Slurm's NoDevFiles. */
const chosenGpus = (chosen: string): readonly string[] => {
  const names = chosen.split(",").map((name) => name.trim())
  const end = names.findIndex((name) => !/^(\d+|(GPU|MIG)-[\w/-]+)$/.test(name))
  return end < 0 ? names : names.slice(0, end)
}

/** A GPU in parts (MIG) is used by its parts only. */
const listedGpus = (text: string): readonly string[] => {
  const gpus: { readonly uuid: string; readonly parts: string[] }[] = []
  for (const line of text.split("\n")) {
    const uuid = /\(UUID: ((?:GPU|MIG)-[^)\s]+)\)/.exec(line)?.[1]
    if (uuid === undefined) continue
    if (/^\s*MIG/.test(line)) gpus.at(-1)?.parts.push(uuid)
    else gpus.push({ uuid, parts: [] })
  }
  return gpus.flatMap(({ uuid, parts }) => (parts.length > 0 ? parts : [uuid]))
}

/** As the driver describes them in /proc, a folder each. */
const describedGpus = (driver: string): readonly string[] => {
  try {
    return readdirSync(driver)
      .sort()
      .flatMap((name) => {
        const text = readFileSync(join(driver, name, "information"), "utf8")
        return /^GPU UUID:\s*(GPU-\S+)/m.exec(text)?.[1] ?? []
      })
  } catch {
    return []
  }
}
