/** Components on the command line: `lion`, or with options as help shows them, `lion({ beta1: 0.5 })`. */
import type { type } from "arktype"
import type { Component, ComponentMaker } from "../api/component.ts"
import { InvalidInput } from "../io/decode.ts"
import { unknownName } from "../io/nearest-name.ts"
import { describeOptions } from "../io/options.ts"

const form = /^([a-z][a-z0-9-]*)\s*(?:\(\s*(?:\{(.*)\})?\s*\))?$/

/**
 * The components that a text may stand for, one for each role in which there is one of its name.
 *
 * @param scalar the value that a text stands for
 * @returns also why its options are wrong, if they are
 */
export const componentsReadAs = (
  text: string,
  makers: readonly ComponentMaker[],
  scalar: (text: string) => unknown,
): { readonly read: readonly Component[]; readonly problems: readonly string[] } => {
  const [, name, inside = ""] = form.exec(text) ?? []
  const read: Component[] = []
  const problems: string[] = []
  for (const make of makers.filter((maker) => maker.name === name)) {
    const parts = inside.split(",").filter((part) => part.trim() !== "")
    const options = parts.map((part) => part.split(/:(.*)/s).map((side) => side.trim()))
    try {
      const given = Object.fromEntries(options.map(([option, value = ""]) => [option, scalar(value)]))
      // The component checks its own options, whatever their types.
      read.push(make(given as never))
    } catch (cause) {
      if (!(cause instanceof InvalidInput)) throw cause
      problems.push(...cause.problems.map((problem) => `${cause.what}: ${problem}`))
    }
  }
  return { read, problems }
}

/** Why a text stands for no component that an option takes; undefined if the option takes none. */
export const componentProblem = (
  schema: type.Any,
  option: string,
  text: string,
  makers: readonly ComponentMaker[],
): string | undefined => {
  const expected =
    describeOptions(schema)
      .find(({ name }) => name === option)
      ?.expected.split(" | ") ?? []
  const fitting = makers.filter(({ role }) => expected.includes(role))
  const name = form.exec(text.trim())?.[1] ?? text.trim()
  return fitting.length === 0
    ? undefined
    : unknownName(
        fitting[0]!.role,
        name,
        fitting.map((maker) => maker.name),
      )
}
