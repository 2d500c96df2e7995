/** What two cohorts differ in, with all that they are made from. */

export interface Difference {
  /** As an author declares it: `lr of fine-tuning`, `further training`, `pooler`. */
  readonly name: string
  /** What the first has, and the second; `none` for what one of them lacks. */
  readonly first: string
  readonly second: string
}

/** A cohort among the inputs of a report. */
export interface CohortPlace {
  readonly input: string
  readonly index: number
}

/**
 * Compares the members of two cohorts by seed: their options and inputs, what these are made from, what only one of them
 * was trained by, and the traits of what they give. What follows from a difference is not one more, and what is computed
 * the same from equal files under other names is none.
 */
export type Differences = (first: CohortPlace, second: CohortPlace) => readonly Difference[]

/** Longer lists of values end in `…`. */
const mostValues = 3

/** One difference for each name, with the values that it has. */
export const mergedDifferences = (all: readonly Difference[]): readonly Difference[] =>
  [...Map.groupBy(all, ({ name }) => name)].map(([name, of]) => {
    const valuesOf = (side: "first" | "second") => {
      const values = [...new Set(of.map((each) => each[side]))]
      return [...values.slice(0, mostValues), ...(values.length > mostValues ? ["…"] : [])].join(", ")
    }
    return { name, first: valuesOf("first"), second: valuesOf("second") }
  })
