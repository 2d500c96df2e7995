import { afterEach, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { editedPath } from "../../../core/engine/content-digest.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import { commitReason, resolveRevisions, revisionsOf } from "../../../core/engine/revisions.ts"
import { notAsked, pinCommits } from "../../../core/hub/revision.ts"
import { vocabulary } from "../../../plugins/data/vocabulary.ts"
import { commit, hubServer } from "../hub/hub-server.ts"
import { inNewCache } from "../hub/in-cache.ts"

const cache = inNewCache()
let server: Awaited<ReturnType<typeof hubServer>> | undefined
afterEach(() => {
  server?.close()
  server = undefined
})
const serve = async () => {
  server = await hubServer({
    "owner/name/resolve/main/vocab.txt": { content: new TextEncoder().encode("[PAD]\n"), large: false },
  })
  process.env["HF_ENDPOINT"] = server.endpoint
}

const graph = (source: string) =>
  Effect.runPromise(
    graphOf({ words: vocabulary({ source }) }, { arithmetic: "cpu", sources: {}, packages: {} }),
  )
const keyOf = async (source: string) => (await graph(source)).units[0]!.key
const other = "f".repeat(40)

test("the commit that a branch stands for is part of keys; a plan asks nobody, a run asks the hub once", async () => {
  await serve()
  const planned = await graph("hf://owner/name")
  expect(server!.seen).toEqual([])
  expect(revisionsOf(planned)).toEqual({})

  expect(await Effect.runPromise(resolveRevisions(planned))).toBe(true)
  const known = await graph("hf://owner/name")
  expect(revisionsOf(known)).toEqual({ "hf://owner/name@main": commit })
  expect(known.units[0]!.key).not.toBe(planned.units[0]!.key)
  expect(known.units[0]!.parts.read).toEqual({ "hf://owner/name@main": commit })
  // Another file of the repository, of the same commit.
  expect((await graph("hf://owner/name/vocab.txt")).units[0]!.parts.read).toEqual(known.units[0]!.parts.read)

  const requests = server!.seen.length
  expect(await Effect.runPromise(resolveRevisions(known))).toBe(false)
  expect(server!.seen.length).toBe(requests)
  expect(await Effect.runPromise(editedPath(known.units[0]!.parts.read))).toBeUndefined()
})

test("a process keeps to the commit that it found, though Python moves the branch on meanwhile", async () => {
  await serve()
  await Effect.runPromise(resolveRevisions(await graph("hf://owner/name")))
  const key = await keyOf("hf://owner/name")
  writeFileSync(join(cache.hub, "models--owner--name", "refs", "main"), other)
  expect(await keyOf("hf://owner/name")).toBe(key)
})

test("a worker keeps to the commits that it is told", async () => {
  await Effect.runPromise(pinCommits({ "hf://owner/name@v2": other }))
  expect((await graph("hf://owner/name@v2")).units[0]!.parts.read).toEqual({ "hf://owner/name@v2": other })
})

test("another commit is a reason to make a unit again", () => {
  expect(commitReason("hf://owner/name@main", commit)).toBe("name@main is now commit 0123456")
  expect(commitReason("hf://owner/name@main", notAsked)).toBe("commit of name@main not known here")
})

test("an address with a commit asks nobody", async () => {
  const pinned = await graph(`hf://owner/name@${other}`)
  expect(revisionsOf(pinned)).toEqual({ [`hf://owner/name@${other}`]: other })
  expect(await Effect.runPromise(resolveRevisions(pinned))).toBe(false)
})

test("what cannot be resolved is refused before anything runs, with what to do", async () => {
  const refused = async (source: string) =>
    (await Effect.runPromise(Effect.flip(resolveRevisions(await graph(source))))).message
  process.env["HF_HUB_OFFLINE"] = "1"
  expect(await refused("hf://owner/unknown")).toBe(
    "cannot download hf://owner/unknown@main: it is not cached, and HF_HUB_OFFLINE is set. Unset HF_HUB_OFFLINE, or use a local file or folder",
  )
  delete process.env["HF_HUB_OFFLINE"]
  await serve()
  server!.break((_request, response) => {
    response.writeHead(404, { "x-error-code": "RevisionNotFound" }).end()
    return true
  })
  expect(await refused("hf://owner/unknown@v9")).toContain("has no such branch, tag or commit")
  process.env["HF_ENDPOINT"] = "nonsense"
  await expect(graph("hf://owner/unknown")).rejects.toThrow("HF_ENDPOINT must be an address")
})
