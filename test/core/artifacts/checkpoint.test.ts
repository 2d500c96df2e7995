import { expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Checkpoint } from "../../../core/artifacts/checkpoint.ts"
import { writeFile } from "../../../core/io/files.ts"
import { artifactFolder } from "./artifact-folder.ts"

const { path, write, read, refusal } = artifactFolder()

test("a checkpoint is its folder and its configuration", async () => {
  await write(Checkpoint, { write: (at) => writeFile(join(at, "config.json"), '{"hidden_size": 8}') })
  expect(await read(Checkpoint)).toEqual({ folder: path(), config: { hidden_size: 8 } })
  writeFileSync(path("config.json"), "8")
  expect(await refusal(Checkpoint)).toContain("F/config.json")
})
