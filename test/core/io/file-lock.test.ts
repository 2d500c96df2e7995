import { afterEach, beforeEach, expect, test } from "bun:test"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { closeSync, existsSync, openSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber } from "effect"
import { lockFile, tryLock } from "../../../core/io/file-lock.ts"

let folder: string
let path: string
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "kasosei-file-lock-"))
  path = join(folder, "lock")
})
afterEach(() => fs.rm(folder, { recursive: true, force: true }))

const open = () => openSync(path, "a")
const deno = join(import.meta.dir, "..", "..", "..", "node_modules", "deno", "deno")
const script = join(import.meta.dir, "file-lock.process.ts")
const runtimes = [
  ["Bun", process.execPath, []],
  ["Deno", deno, ["run", "--allow-all"]],
] as const

/** A process that locks `path` and says so. */
const holder = async (program: string, options: readonly string[]) => {
  const child = spawn(program, [...options, script, path], { stdio: ["pipe", "pipe", "inherit"] })
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const [said] = (
    await new Promise<Buffer[]>((resolve) => child.stdout.once("data", (...data) => resolve(data)))
  ).map(String)
  return { child, gone, said }
}

test("of two exclusive locks the second is refused until the first file is closed; shared ones go together", () => {
  const [first, second, third] = [open(), open(), open()]
  expect(tryLock(first, "exclusive")).toBe("locked")
  expect(tryLock(second, "exclusive")).toBe("held")
  expect(tryLock(second, "shared")).toBe("held")
  closeSync(first)
  expect(tryLock(second, "shared")).toBe("locked")
  expect(tryLock(third, "shared")).toBe("locked")
  expect(tryLock(third, "exclusive")).toBe("held")
  closeSync(second)
  expect(tryLock(third, "exclusive")).toBe("locked")
  closeSync(third)
})

for (const [name, program, options] of runtimes) {
  test.skipIf(!existsSync(program))(
    `a lock ends with its process, killed or not, and ${name} sees ours`,
    async () => {
      const { child, gone, said } = await holder(program, options)
      expect(said).toBe("locked\n")
      const ours = open()
      expect(tryLock(ours, "exclusive")).toBe("held")
      child.kill("SIGKILL")
      await gone
      expect(tryLock(ours, "exclusive")).toBe("locked")
      const other = await holder(program, options)
      expect(other.said).toBe("held\n")
      other.child.kill("SIGKILL")
      await other.gone
      closeSync(ours)
    },
  )
}

test("a process that the holder starts does not inherit its lock", async () => {
  const { child, gone, said } = await holder(process.execPath, [])
  expect(said).toBe("locked\n")
  child.stdin.write("start\n")
  const pid = Number(await new Promise((resolve) => child.stdout.once("data", resolve)))
  child.kill("SIGKILL")
  await gone
  process.kill(pid, 0)
  // On a busy machine it may not have become the other program yet, and have the holder's files until then.
  const ours = open()
  while (tryLock(ours, "exclusive") !== "locked") await new Promise((resolve) => setTimeout(resolve, 5))
  closeSync(ours)
  process.kill(pid, "SIGKILL")
})

test("who waits for a lock gets it when the other one is done, and one at a time", async () => {
  let inside = 0
  let most = 0
  const turn = Effect.scoped(
    Effect.gen(function* () {
      yield* lockFile(path)
      most = Math.max(most, ++inside)
      yield* Effect.sleep(1)
      inside--
    }),
  )
  await Effect.runPromise(
    Effect.all(
      Array.from({ length: 8 }, () => turn),
      { concurrency: "unbounded" },
    ),
  )
  expect(most).toBe(1)
})

test("a lock on a file that its holder removed is none", async () => {
  const first = open()
  expect(tryLock(first, "exclusive")).toBe("locked")
  const waiting = Effect.runFork(
    Effect.scoped(
      Effect.andThen(
        lockFile(path),
        Effect.sync(() => existsSync(path)),
      ),
    ),
  )
  await new Promise((resolve) => setTimeout(resolve, 60))
  await fs.rm(path)
  closeSync(first)
  expect(await Effect.runPromise(Fiber.join(waiting))).toBe(true)
  expect(existsSync(path)).toBe(false)
})

test("an interruption at any moment leaves neither a lock nor its file", async () => {
  for (let turns = 0; turns < 12; turns++) {
    const locking = Effect.runFork(Effect.scoped(Effect.andThen(lockFile(path), Effect.never)))
    for (let i = 0; i < turns; i++) await Promise.resolve()
    if (turns > 8) await new Promise((resolve) => setTimeout(resolve, turns - 8))
    await Effect.runPromise(Fiber.interrupt(locking))
    expect(existsSync(path)).toBe(false)
    const ours = open()
    expect(tryLock(ours, "exclusive")).toBe("locked")
    closeSync(ours)
    await fs.rm(path)
  }
})

test("waiting can be interrupted, and a folder that cannot be made is an error", async () => {
  const first = open()
  expect(tryLock(first, "exclusive")).toBe("locked")
  const waiting = Effect.runFork(Effect.scoped(lockFile(path)))
  await new Promise((resolve) => setTimeout(resolve, 10))
  await Effect.runPromise(Fiber.interrupt(waiting))
  closeSync(first)
  const second = open()
  expect(tryLock(second, "exclusive")).toBe("locked")
  closeSync(second)
  const error = await Effect.runPromise(Effect.flip(Effect.scoped(lockFile(join(path, "lock")))))
  expect(error.message).toContain(path)
})

const compiler = ["cc", "gcc", "clang"].find((name) => Bun.which(name) !== null)

/** Runs a program for which the kernel has no flock, as on some file systems. */
const withoutLocks = `
  #include <errno.h>
  #include <linux/filter.h>
  #include <linux/seccomp.h>
  #include <stddef.h>
  #include <sys/prctl.h>
  #include <sys/syscall.h>
  #include <unistd.h>
  int main(int count, char **words) {
    struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_flock, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &program)) return 9;
    execv(words[1], words + 1);
    return 9;
  }`

test.skipIf(process.platform !== "linux" || compiler === undefined)(
  "where there are no locks, they are unsupported and nobody waits for one",
  async () => {
    const program = join(folder, "without-locks")
    await fs.writeFile(`${program}.c`, withoutLocks)
    expect(spawnSync(compiler!, ["-o", program, `${program}.c`]).status).toBe(0)
    for (const [, runtime, options] of runtimes.filter(([, path]) => existsSync(path))) {
      const said = await holder(program, [runtime, ...options])
      expect(said.said).toBe("unsupported\n")
      said.child.stdin.write("lock\n")
      const [answer] = await once(said.child.stdout, "data")
      expect(String(answer)).toBe("done\n")
      said.child.kill("SIGKILL")
      await said.gone
    }
  },
)
