import { afterEach, beforeAll, beforeEach, expect } from "bun:test"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../core/tensor/backend.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"

/**
 * What a file of tests of training needs, on the backend cpu: a new folder for each test, which is removed after it; and
 * after each test, no tensor may be left over.
 *
 * @param given called before each test with its folder
 */
export const withTrainingFolder = (given: (folder: string) => void): void => {
  beforeAll(() => Effect.runPromise(startBackend(cpu)))
  let folder: string
  let before: number
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "training-"))
    given(folder)
    before = tf.memory().numTensors
  })
  afterEach(async () => {
    expect(tf.memory().numTensors).toBe(before)
    await rm(folder, { recursive: true, force: true })
  })
}
