import type { ArtifactKind } from "../../../core/artifacts/kind.ts"
import { anyObservations, type Row } from "../../../core/artifacts/observations.ts"

/** The observations of any probe, whatever its rows contain. */
export const Observed: ArtifactKind<"observations", never, readonly Row[], { readonly rows: number }> =
  anyObservations
