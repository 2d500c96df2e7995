/** One damaged input, read. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Cause, Effect, Exit, Result } from "effect"
import { InvalidInput } from "../../../core/io/decode.ts"
import { FileError } from "../../../core/io/files.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { Dice, mutated } from "./mutations.ts"
import { type Files, type Reader, writeFiles } from "./readers.ts"

export interface Attempt {
  readonly iteration: number
  /** The damaged file, and how it was damaged. */
  readonly how: string
  /** Bytes of all files of the input. */
  readonly bytes: number
  /** The message with which it was refused; null if it was read. */
  readonly refused: string | null
  /** What is wrong with how it was refused: a stack trace in the place of a message, or one that names no file. */
  readonly fault: string | null
  /** Of the processor, by all threads. */
  readonly seconds: number
}

/** The damaged input of this number. */
export const damagedInput = (reader: Reader, seed: number, iteration: number) => {
  const dice = new Dice(stream(seed, `damage ${reader.name}`), iteration)
  const name = dice.pick(reader.damaged ?? Object.keys(reader.files))
  const { how, copy } = mutated(reader.files[name]!, dice)
  const files: Files = { ...reader.files, [name]: copy }
  return { files, how: `${name}: ${how}` }
}

const faultOf = (cause: Cause.Cause<{ readonly message: string }>, reader: Reader, folder: string) => {
  const error = Cause.findError(cause)
  if (Result.isFailure(error)) return `it crashed: ${Cause.pretty(cause)}`
  const found = error.success
  if (!(found instanceof FileError || found instanceof InvalidInput)) return `not an error of ours: ${found}`
  if (/^\s+at /m.test(found.message)) return `a stack trace: ${found.message}`
  return reader.nameless || found.message.includes(folder) ? null : `no file is named: ${found.message}`
}

/** Reads the good input, in a folder of its own. */
export const readGood = async (reader: Reader): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "kasosei-soak-"))
  try {
    writeFiles(folder, reader.files)
    await Effect.runPromise(Effect.asVoid(reader.read(folder)))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export const attemptInput = async (reader: Reader, seed: number, iteration: number): Promise<Attempt> => {
  const { files, how } = damagedInput(reader, seed, iteration)
  const bytes = Object.values(files).reduce((sum, { length }) => sum + length, 0)
  const folder = mkdtempSync(join(tmpdir(), "kasosei-soak-"))
  try {
    writeFiles(folder, files)
    const before = process.cpuUsage()
    const exit = await Effect.runPromiseExit(Effect.suspend(() => reader.read(folder)))
    const { user, system } = process.cpuUsage(before)
    const told = { iteration, how, bytes, seconds: (user + system) / 1e6 }
    if (Exit.isSuccess(exit)) return { ...told, refused: null, fault: null }
    const error = Cause.findError(exit.cause)
    return {
      ...told,
      refused: Result.isFailure(error) ? Cause.pretty(exit.cause) : error.success.message,
      fault: faultOf(exit.cause, reader, folder),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
