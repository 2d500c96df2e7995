import { cost, Effect, Examples, InvalidInput, plugin, type RunContext, type Split, type } from "kasosei"

const takes = { data: Examples }

/** A task with two classes in which each example has the other one: the opposite of what was learned. */
export const reversed = plugin({
  name: "reversed",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "The examples of a task of two classes, each with the other label",
  options: type({ "+": "reject" }),
  takes,
  gives: Examples,
  usesBackend: false,
  estimate: (_options, { data }) => {
    const disk = (data.train + data.dev) * (8 * data.tokensPerExample + 12)
    return { artifact: data, cost: cost({ memory: 2.5e8 + 2 * disk, disk }) }
  },
  run: Effect.fn("reversed")(function* ({
    inputs: { data },
  }: RunContext<Record<never, never>, typeof takes, unknown>) {
    if (data.labelNames?.length !== 2) {
      const found = data.labelNames === null ? "scores" : data.labelNames.join(", ")
      return yield* new InvalidInput({
        what: "reversed",
        problems: [`data must have two classes (was ${found})`],
      })
    }
    const other = ({ sequences, labels }: Split) => ({ sequences, labels: labels.map((label) => 1 - label) })
    return { ...data, train: other(data.train), dev: other(data.dev) }
  }),
})
