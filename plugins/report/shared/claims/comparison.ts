import { type } from "arktype"
import { Side, Where } from "./evidence.ts"

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
  /** p values are adjusted for the number of claims of a family; by default that of the same kind. */
  "family?": "string > 0",
})
type Comparison = typeof Comparison.infer

export const whereOf = ({ lr, where }: Pick<Comparison, "where"> & { readonly lr?: number }): Where =>
  lr === undefined ? where : { lr, ...where }
