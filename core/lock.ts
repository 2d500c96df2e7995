import * as fs from "node:fs/promises"
import { join } from "node:path"
import { Data, Effect } from "effect"
import { attempt, type FileError, remove } from "./files.ts"

/** Another process works on the same folder of results. */
export class OutInUse extends Data.TaggedError("OutInUse")<{
  readonly out: string
  readonly process: string
}> {
  override get message() {
    return `--out ${this.out}: process ${this.process} is working there; wait for it, or choose another folder`
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return cause instanceof Error && "code" in cause && cause.code === "EPERM"
  }
}

/**
 * Keeps other processes from working on the folder `out` until the scope ends. A lock that a process left behind
 * which is gone is taken over.
 */
export const lockOut = Effect.fn("lockOut")(function* (out: string) {
  const path = join(out, "lock")
  const take = attempt("write", path, () =>
    fs.writeFile(path, `${process.pid}\n`, { flag: "wx" }).then(
      () => undefined,
      async (cause: unknown) => {
        if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause
        return (await fs.readFile(path, "utf8")).trim()
      },
    ),
  )
  const acquire: Effect.Effect<void, FileError | OutInUse> = Effect.gen(function* () {
    yield* attempt("make", out, () => fs.mkdir(out, { recursive: true }))
    const holder = yield* take
    if (holder === undefined) return
    if (/^\d+$/.test(holder) && isAlive(Number(holder))) return yield* new OutInUse({ out, process: holder })
    yield* remove(path)
    const again = yield* take
    if (again !== undefined) return yield* new OutInUse({ out, process: again })
  })
  yield* Effect.acquireRelease(acquire, () => remove(path))
})
