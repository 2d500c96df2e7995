import { describe, expect, test } from "bun:test"
import { type } from "arktype"
import type { Node } from "../../../core/api/plugin.ts"
import {
  inputOf,
  inputParameters,
  realInput,
  realParameters,
  toyInput,
  toyParameters,
} from "../../../pipelines/shared/input.ts"
import { simcse } from "../../../plugins/pretrain/simcse.ts"

const parameters = type({ "+": "reject", ...inputParameters, samples: "number = 16" })
const given = (values: Readonly<Record<string, unknown>>) => inputOf(parameters.assert(values))
const sources = { glue: "G", corpus: "C", vocabulary: "V" }

/** A unit with all that it is made from, as text. */
const described = ({ plugin, options, inputs }: Node): unknown =>
  JSON.parse(
    JSON.stringify([
      plugin.name,
      options,
      Object.entries(inputs).map(([name, node]) => [
        name,
        node === undefined ? null : described(node as Node),
      ]),
    ]),
  )

describe("the input of a pipeline that runs on the toy language and on real text", () => {
  test("is by default that of the quickstart, and that of mini once there is real text", () => {
    const toy = toyInput(type({ "+": "reject", ...toyParameters }).assert({}))
    const real = realInput(type({ "+": "reject", ...realParameters }).assert(sources))
    for (const [one, other] of [[given({}), toy] as const, [given(sources), real] as const]) {
      expect(described(one.vanilla)).toEqual(described(other.vanilla))
      expect(described(one.data)).toEqual(described(other.data))
      expect(described(simcse(one.further(7)))).toEqual(described(simcse(other.further(7))))
    }
  })

  test("follows its parameters, whatever others the pipeline has", () => {
    const small = given({ train: 64, mlmSteps: 5, simcseSteps: 3, hidden: 8, samples: 8 })
    expect(small.data.options).toMatchObject({ train: 64 })
    expect(small.vanilla.options).toMatchObject({ steps: 5, size: { hidden: 8 } })
    expect(small.further(9)).toMatchObject({ steps: 3, seed: 9 })
    const cut = given({ ...sources, task: "sst2", trainExamples: 2490, size: "mini" })
    expect(cut.data.plugin.name).toBe("sst2")
    expect(cut.data.options).toMatchObject({ source: "G", trainExamples: 2490 })
    expect(cut.title).toBe("BERT-mini on SST-2")
    expect(given({ ...sources, model: "M" }).vanilla.plugin.name).toBe("pretrained")
  })

  test("refuses what does not fit it", () => {
    expect(() => given({ task: "sst2" })).toThrow(/toy language.*no option task/)
    expect(() => given({ ...sources, train: 100 })).toThrow(/real input.*no option train/)
    expect(() => given({ glue: "G" })).toThrow("corpus")
  })
})
