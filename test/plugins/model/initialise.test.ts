import { expect, test } from "bun:test"
import { stream } from "../../../core/tensor/stream.ts"
import { configOf } from "../../../plugins/model/config.ts"
import { initialise } from "../../../plugins/model/initialise.ts"
import { outputHeads, parametersOf } from "../../../plugins/model/parameters.ts"

const config = configOf("tiny", 500, 0)
const specs = parametersOf(config, outputHeads)

test("weights are N(0, 0.02²), biases 0, scales 1", () => {
  for (const [name, { shape, values }] of initialise(config, specs, stream(1, "head"))) {
    const spec = specs.find((candidate) => candidate.name === name)
    expect(shape).toEqual(spec?.shape ?? [])
    expect(values.length).toBe(shape.reduce((product, size) => product * size, 1))
    if (name.endsWith("LayerNorm.weight")) expect(values.every((value) => value === 1)).toBe(true)
    else if (name.endsWith(".bias")) expect(values.every((value) => value === 0)).toBe(true)
    else {
      const n = values.length
      const mean = values.reduce((sum, value) => sum + value, 0) / n
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / n)
      // Five standard errors.
      expect(Math.abs(mean)).toBeLessThan((5 * 0.02) / Math.sqrt(n))
      expect(Math.abs(deviation - 0.02)).toBeLessThan((5 * 0.02) / Math.sqrt(2 * n))
    }
  }
})

test("no two weights have the same values; the same seed gives the same values, another seed others", () => {
  const firstNumbers = (seed: number) =>
    [...initialise(config, specs, stream(seed, "head"))]
      .filter(([name]) => name.endsWith("weight") && !name.endsWith("LayerNorm.weight"))
      .map(([, { values }]) => values[0])
  const numbers = firstNumbers(1)
  expect(new Set(numbers).size).toBe(numbers.length)
  expect(firstNumbers(1)).toEqual(numbers)
  expect(firstNumbers(2)).not.toEqual(numbers)
})

test("an output head's values do not depend on what else is drawn", () => {
  const all = new Map(initialise(config, specs, stream(3, "head")))
  const alone = new Map(
    initialise(
      config,
      specs.filter(({ block }) => block === "classifier"),
      stream(3, "head"),
    ),
  )
  expect([...alone.keys()]).toEqual(["classifier.weight", "classifier.bias"])
  expect(alone.get("classifier.weight")).toEqual(all.get("classifier.weight")!)
})

test("a parameter that is not one of BERT's is refused", () => {
  const foreign = [{ ...specs[0]!, name: "bert.lm_head.weight" }]
  expect(() => [...initialise(config, foreign, stream(1, "head"))]).toThrow("bert.lm_head.weight")
})
