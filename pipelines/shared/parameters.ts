/** Types of parameters that pipelines share: what the plugins accept, so that an error names the parameter. */
import { type Traversal, type } from "arktype"

/** If a value were given twice, the tables would count its runs twice. */
const different = (values: readonly number[], context: Traversal): boolean =>
  new Set(values).size === values.length || context.mustBe("a list of different values")

/** Peak learning rates of fine-tuning. */
export const learningRates = type("number > 0").array().atLeastLength(1).narrow(different)

/** Seeds of runs. */
export const runSeeds = type("0 <= number.integer <= 4294967295").array().atLeastLength(1).narrow(different)

/** Dropout rates of SimCSE; an empty list leaves only the vanilla model. */
export const dropoutRates = type("0 <= number < 1").array().narrow(different)
