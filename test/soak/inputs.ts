/**
 * bun test/soak/inputs.ts [COUNT] [SEED] [READER]
 *
 * Gives each reader damaged copies of a good input, COUNT of all readers together (by default 10,000), in a process of
 * its own, and prints for each how many were refused, the slowest in seconds of the processor, and the most memory that
 * the process had beyond what it had before, in MB. Then every fault: a crash, a message without a file, a process that
 * died or took longer than five minutes, an input that took more than a second, memory of more than 256 MB. The exit code
 * is 1 if there is one.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { type Attempt, attemptInput, readGood } from "./inputs/attempt.ts"
import { readers } from "./inputs/readers.ts"

const mostSeconds = 1
const mostMemory = 256e6
const longest = 5 * 60_000

/** `maxRSS` is in kilobytes. */
const memory = () => process.resourceUsage().maxRSS * 1024

const tell = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`)

/** In a process of its own: the attempts as lines, with the number of each before it begins. */
const readAll = async (name: string, count: number, seed: number) => {
  const reader = (await readers()).find((reader) => reader.name === name)!
  // What good inputs need is loaded and compiled.
  for (let i = 0; i < 5; i++) await readGood(reader)
  const before = memory()
  for (let i = 0; i < count; i++) {
    tell({ begins: i })
    tell(await attemptInput(reader, seed, i))
  }
  tell({ memory: memory() - before })
}

interface Found {
  readonly attempts: readonly Attempt[]
  readonly memory: number
  readonly faults: readonly string[]
}

const inProcess = (name: string, count: number, seed: number): Promise<Found> =>
  new Promise((resolve) => {
    const args = [fileURLToPath(import.meta.url), String(count), String(seed), name, "here"]
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], timeout: longest })
    let [out, err] = ["", ""]
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text
    })
    child.on("close", (code, signal) => {
      const lines = out
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line))
      const attempts: readonly Attempt[] = lines.filter((line) => "how" in line)
      const begun = lines.filter((line) => "begins" in line).length
      const memory = lines.at(-1)?.memory ?? 0
      const faults = attempts.flatMap(({ iteration, how, seconds, fault }) => [
        ...(fault === null ? [] : [`${iteration} (${how}): ${fault}`]),
        ...(seconds <= mostSeconds ? [] : [`${iteration} (${how}): ${seconds.toFixed(1)} s`]),
      ])
      if (code !== 0)
        faults.push(`the process ended with ${signal ?? code} at ${begun - 1}: ${err.slice(-2000)}`)
      if (memory > mostMemory) faults.push(`${Math.round(memory / 1e6)} MB of memory`)
      resolve({ attempts, memory, faults })
    })
  })

const [count = 10_000, seed = 1] = process.argv.slice(2, 4).map(Number)
const [, , , , chosen, here] = process.argv
if (here !== undefined) await readAll(chosen!, count, seed)
else {
  const all = (await readers()).filter(({ name }) => chosen === undefined || name === chosen)
  const each = Math.ceil(count / all.length)
  const faults: string[] = []
  process.stdout.write(`${"reader".padEnd(30)}  inputs  refused  slowest s  memory MB  faults\n`)
  for (const { name } of all) {
    const found = await inProcess(name, each, seed)
    const refused = found.attempts.filter(({ refused }) => refused !== null).length
    const slowest = Math.max(0, ...found.attempts.map(({ seconds }) => seconds))
    process.stdout.write(
      `${name.padEnd(30)}  ${String(found.attempts.length).padStart(6)}  ${String(refused).padStart(7)}  ${slowest.toFixed(2).padStart(9)}  ${(found.memory / 1e6).toFixed(0).padStart(9)}  ${String(found.faults.length).padStart(6)}\n`,
    )
    faults.push(...found.faults.map((fault) => `${name} ${fault}`))
  }
  for (const fault of faults) process.stdout.write(`\n${fault}\n`)
  process.exitCode = faults.length > 0 ? 1 : 0
}
