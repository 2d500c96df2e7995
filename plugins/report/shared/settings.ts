import { type } from "arktype"
import { shortNumber } from "../../../core/io/format.ts"
import { left, type Table } from "./table.ts"

const Plain = type("string | number | boolean | null")
const Value = Plain.or(Plain.array())
type Value = typeof Value.infer

/** A setting of a study, for its page. */
export const Setting = type({
  "+": "reject",
  /** What it is, in words: learning rate, epochs of fine-tuning. */
  setting: "string > 0",
  ours: Value,
  /** The paper's; left out where a study has no counterpart in the paper. */
  "paper?": Value,
  /** The paper does not say: `paper` is what its readers presume. */
  unsaid: "boolean = false",
})
export type Setting = typeof Setting.infer

/** Settings of a study, in the order in which they are shown. */
export const settingsOption = Setting.array().default(() => [])

const textOf = (value: Value): string => {
  if (Array.isArray(value)) return value.length === 0 ? "none" : rangesOf(value).join(", ")
  if (typeof value === "number") return shortNumber(value)
  return typeof value === "boolean" ? (value ? "yes" : "no") : (value ?? "none")
}

/** Three or more integers that follow one another as the command line has them, `1..30`. */
const rangesOf = (values: readonly Value[]): readonly string[] => {
  const texts: string[] = []
  for (let i = 0; i < values.length; i++) {
    const first = values[i]!
    let last = i
    while (Number.isInteger(first) && values[last + 1] === Number(values[last]) + 1) last++
    texts.push(last < i + 2 ? textOf(first) : `${first}..${values[last]}`)
    if (last >= i + 2) i = last
  }
  return texts
}

const differs = ({ ours, paper }: Setting): boolean =>
  paper !== undefined && JSON.stringify(ours) !== JSON.stringify(paper)

const paperText = ({ paper, unsaid }: Setting): string =>
  paper === undefined ? "" : unsaid ? `unsaid; presumed ${textOf(paper)}` : textOf(paper)

/** Every setting, beside the paper's; null if none was given. */
export const settingsTable = (settings: readonly Setting[]): Table | null => {
  if (settings.length === 0) return null
  const compared = settings.filter(({ paper }) => paper !== undefined)
  const different = compared.filter(differs)
  const unsaid = settings.filter((setting) => setting.unsaid)
  return {
    name: "settings",
    title: "Settings",
    columns: [left("setting"), left("ours"), ...(compared.length === 0 ? [] : [left("the paper's")])],
    rows: settings.map((setting) => [
      differs(setting) ? `${setting.setting} ≠` : setting.setting,
      textOf(setting.ours),
      ...(compared.length === 0 ? [] : [paperText(setting)]),
    ]),
    notes: [
      ...(compared.length === 0
        ? []
        : [
            different.length === 0
              ? "No setting differs from the paper's."
              : `≠: differs from the paper's (${different.map(({ setting }) => setting).join(", ")}).`,
          ]),
      ...(unsaid.length === 0
        ? []
        : ["Unsaid: the paper does not say, and the value named is a careful reader's."]),
    ],
    data: {
      columns: ["setting", "ours", "paper", "unsaid", "differs"],
      rows: settings.map((setting) => [
        setting.setting,
        textOf(setting.ours),
        setting.paper === undefined ? null : textOf(setting.paper),
        setting.unsaid,
        differs(setting),
      ]),
    },
  }
}

/** The settings that differ from the paper's, in one sentence; null if none does. */
export const differencesSentence = (settings: readonly Setting[]): string | null => {
  const different = settings.filter(differs)
  return different.length === 0
    ? null
    : `Settings that differ from the paper's: ${different
        .map((setting) => `${setting.setting} ${textOf(setting.ours)} (${paperText(setting)})`)
        .join("; ")}.`
}
