import { type } from "arktype"
import { claimsOption } from "../shared/claims/claim.ts"

export const Options = type({
  "+": "reject",
  /** The title of the page. */
  title: "string > 0",
  /**
   * The settings that the specifications differ in, each a label of the cohorts, with the value that is presumed:
   * `{ clip: 1, pooler: "kept" }`. Claims about observations may have settings that the runs do not have.
   */
  presumed: type({ "[string]": "string | number" }).describe("an object of values by label"),
  /** Claims judged by the runs of each specification. */
  ofRuns: claimsOption.default(() => []),
  /** Claims judged by the observations of each specification. */
  ofObservations: claimsOption.default(() => []),
})
export type Options = typeof Options.infer
