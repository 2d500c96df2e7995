import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit } from "effect"
import { FileError, writeFile } from "../../../../../core/io/files.ts"
import { bestOf, selection } from "../../../../../plugins/pretrain/shared/contrastive/selection.ts"

const root = mkdtempSync(join(tmpdir(), "kasosei-selection-"))
afterAll(() => rmSync(root, { recursive: true }))
const folder = (name: string) => mkdtempSync(join(root, name))
const save = (content: string) => (folder: string) => writeFile(join(folder, "model"), content)

describe("bestOf", () => {
  test("a later score wins only if strictly better, and null never wins", () => {
    expect(bestOf([])).toBeUndefined()
    expect(bestOf([{ step: 1, score: null }])).toBeUndefined()
    const scores = [null, -0.5, 0.2, 0.2, null, 0.1]
    expect(bestOf(scores.map((score, step) => ({ step, score })))).toEqual({ step: 2, score: 0.2 })
  })
})

describe("selection", () => {
  test("keeps only the model of the best evaluation, and finds it and all scores after a stop", async () => {
    const path = folder("keep")
    await Effect.runPromise(
      Effect.gen(function* () {
        const first = yield* selection(path)
        expect(first.best()).toBeUndefined()
        yield* first.record(10, Number.NaN, save("undefined"))
        expect(first.best()).toBeUndefined()
        yield* first.record(20, 0.3, save("twenty"))
        yield* first.record(30, 0.3, save("thirty"))
        expect(first.best()).toEqual({ step: 20, score: 0.3, model: join(path, "best-20") })
        yield* first.record(40, 0.4, save("forty"))

        const resumed = yield* selection(path)
        expect(resumed.knows(30)).toBe(true)
        expect(resumed.knows(50)).toBe(false)
        yield* resumed.record(50, 0.1, save("fifty"))
        expect(resumed.best()).toMatchObject({ step: 40, score: 0.4 })
        expect(readFileSync(join(resumed.best()!.model, "model"), "utf8")).toBe("forty")
        expect(resumed.evaluations().map(({ score }) => score)).toEqual([null, 0.3, 0.3, 0.4, 0.1])
        expect(readdirSync(path).sort()).toEqual(["best-40", "evaluations.json"])
      }),
    )
  })

  test("an evaluation whose model could not be written is not recorded, and the best one stays", async () => {
    const path = folder("full")
    const chosen = await Effect.runPromise(selection(path))
    await Effect.runPromise(chosen.record(1, 0.5, save("one")))
    const full = new FileError({ path, doing: "write", found: "the disk is full" })
    const exit = await Effect.runPromiseExit(chosen.record(2, 0.9, () => Effect.fail(full)))
    expect(Exit.isFailure(exit)).toBe(true)
    const again = await Effect.runPromise(selection(path))
    expect(again.knows(2)).toBe(false)
    expect(readFileSync(join(again.best()!.model, "model"), "utf8")).toBe("one")
  })

  test("refuses a damaged file of evaluations", async () => {
    const path = folder("damaged")
    writeFileSync(join(path, "evaluations.json"), '[{"step": 1, "score": "high"}]')
    const error = await Effect.runPromise(Effect.flip(selection(path)))
    expect(error.message).toContain("evaluations.json")
    expect(error.message).toContain("score")
  })
})
