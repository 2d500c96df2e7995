import { type } from "arktype"
import type { Compared, Design } from "./claim.ts"
import { labelsOfSide, nameOfSide, Side, unknownNames, Where } from "./evidence.ts"

/** The options that all comparisons of two sides have. */
export const Comparison = type({
  /** The side that the claim is about: an arm's name, or labels. */
  arm: Side,
  /** The side that it is compared with. */
  than: Side,
  /** The peak learning rate of both; by default all that both have, averaged seed by seed. */
  "lr?": "number > 0",
  /** Other labels of both sides. */
  where: Where.default(() => ({})),
  /**
   * What the sides are meant to differ in, by the names that a plan gives to differences: `further training`,
   * `dropout of further training`. All else that they differ in is named as a confounder.
   */
  differs: type("string > 0")
    .array()
    .default(() => []),
  /** p values are adjusted for the number of claims of a family; by default that of the same kind. */
  "family?": "string > 0",
})
type Comparison = typeof Comparison.infer

export const whereOf = ({ lr, where }: Pick<Comparison, "where"> & { readonly lr?: number }): Where =>
  lr === undefined ? where : { lr, ...where }

/** The sides of a comparison of runs or, with a column, of what is observed of them. */
export const comparedBy = (
  options: Pick<Comparison, "arm" | "than" | "where" | "differs"> & { readonly lr?: number },
  column?: string,
): Compared => {
  const sideOf = (side: Side) => ({ name: nameOfSide(side), labels: labelsOfSide(side) })
  const { arm, than, differs } = options
  const sides = { arm: sideOf(arm), than: sideOf(than), where: whereOf(options), differs }
  return column === undefined ? { what: "runs", ...sides } : { what: "observations", ...sides, column }
}

/** What is wrong with the sides of a comparison whatever is measured: each is the other, or its learning rate is given twice. */
export const comparisonProblems = ({
  arm,
  than,
  lr,
  where,
}: Pick<Comparison, "arm" | "than" | "where"> & { readonly lr?: number }): readonly string[] => {
  const labelsOf = (side: Side) => JSON.stringify(Object.entries(labelsOfSide(side)).sort())
  const other = where["lr"]
  return [
    ...(labelsOf(arm) === labelsOf(than)
      ? [`${nameOfSide(arm)} is compared with itself; expected another arm, or other labels`]
      : []),
    ...(lr !== undefined && other !== undefined && other !== lr
      ? [`lr is given as ${lr} and, in where, as ${other}; expected one of them`]
      : []),
  ]
}

/** The same for a comparison of runs, and names of labels and arms that no run has. */
export const problemsOfRuns = (
  options: Parameters<typeof comparisonProblems>[0],
  design: Design,
): readonly string[] => [
  ...comparisonProblems(options),
  ...[options.arm, options.than].flatMap((side) =>
    unknownNames("runs", design, { ...whereOf(options), ...labelsOfSide(side) }),
  ),
]
