import { type Records, rounded } from "../shared/records.ts"
import { isFailed, type Study } from "./study.ts"

/** All records, one file per kind, run by run: the source of the tables and figures. */
export const observationRecords = (study: Study): ReadonlyMap<string, Records> =>
  new Map([
    [
      "runs",
      {
        columns: [
          "arm",
          "lr",
          "seed",
          "status",
          "correct",
          "total",
          "majority_correct",
          "final_loss",
          "failed",
          "step",
          "reason",
        ],
        rows: study.runs.map((run) => [
          run.arm,
          run.lr,
          run.seed,
          run.status,
          ...(run.status === "done"
            ? [
                run.value.numerator,
                run.value.denominator,
                run.baseline.numerator,
                run.finalLoss,
                isFailed(run),
                null,
                null,
              ]
            : [null, null, null, null, isFailed(run), run.step ?? null, run.reason]),
        ]),
      },
    ],
    [
      "ranks-before",
      {
        columns: ["arm", "seed", "layer", "maximum_rank", "erank", "normalised_erank", "eigenvalues"],
        rows: study.before.map(({ arm, seed, layer, n, erank, normalised, eigenvalues }) => [
          arm,
          seed,
          layer,
          n,
          erank,
          rounded(normalised),
          eigenvalues.map(rounded).join(" "),
        ]),
      },
    ],
    [
      // Without eigenvalues: over all steps and seeds of a study they would take tens of megabytes.
      "ranks-during",
      {
        columns: ["arm", "lr", "seed", "step", "layer", "maximum_rank", "erank", "normalised_erank"],
        rows: study.during.map(({ arm, lr, seed, step, layer, n, erank, normalised }) => [
          arm,
          lr,
          seed,
          step,
          layer,
          n,
          erank,
          rounded(normalised),
        ]),
      },
    ],
    [
      "trajectory",
      {
        columns: ["arm", "lr", "seed", "step", "r", "phi_radians", "training_loss"],
        rows: study.trajectory.map(({ arm, lr, seed, step, r, phi, loss }) => [
          arm,
          lr,
          seed,
          step,
          ...[r, phi, loss].map(rounded),
        ]),
      },
    ],
  ])
