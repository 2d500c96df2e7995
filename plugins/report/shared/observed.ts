import type { CohortEstimated } from "../../../core/api/plugin.ts"
import type { ArtifactKind } from "../../../core/artifacts/kind.ts"
import { anyObservations, type ObservationsEstimate, type Row } from "../../../core/artifacts/observations.ts"

/** The observations of any probe, whatever its rows contain. */
export const Observed: ArtifactKind<"observations", never, readonly Row[], ObservationsEstimate> =
  anyObservations

/** The rows of all cohorts together, before they are made. */
export const rowsEstimated = (observations: readonly CohortEstimated<ObservationsEstimate>[]): number =>
  observations.reduce(
    (sum, { members }) => members.reduce((all, { estimate }) => all + estimate.rows, sum),
    0,
  )
