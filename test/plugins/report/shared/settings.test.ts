import { expect, test } from "bun:test"
import { type } from "arktype"
import {
  differencesSentence,
  settingsOption,
  settingsTable,
} from "../../../../plugins/report/shared/settings.ts"

const settings = type({ settings: settingsOption }).assert({
  settings: [
    { setting: "seeds", ours: [1, 2, 3, 5, 7, 8], paper: [1, 2, 3, 4] },
    { setting: "lr", ours: [1e-5, 2e-5], paper: [1e-5, 2e-5] },
    { setting: "clip", ours: null, paper: 1, unsaid: true },
    { setting: "bias correction", ours: false, paper: false },
    { setting: "layers", ours: 2 },
  ],
}).settings

test("every setting beside the paper's: ranges, differences, and what the paper leaves unsaid", () => {
  expect(settingsTable(settings)?.rows).toEqual([
    ["seeds ≠", "1..3, 5, 7, 8", "1..4"],
    ["lr", "1e-5, 2e-5", "1e-5, 2e-5"],
    ["clip ≠", "none", "unsaid; presumed 1"],
    ["bias correction", "no", "no"],
    ["layers", "2", ""],
  ])
  expect(differencesSentence(settings)).toBe(
    "Settings that differ from the paper's: seeds 1..3, 5, 7, 8 (1..4); clip none (unsaid; presumed 1).",
  )
})

test("settings without the paper's have no column for them, and none at all no table", () => {
  const own = settings.filter(({ paper }) => paper === undefined)
  expect(settingsTable(own)?.columns).toHaveLength(2)
  expect(differencesSentence(own)).toBeNull()
  expect(settingsTable([])).toBeNull()
})
