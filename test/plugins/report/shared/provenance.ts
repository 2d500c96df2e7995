/** Where results come from, for tests of reports. */
import type { Provenance, UnitProvenance } from "../../../../core/api/provenance.ts"

/** As the engine gives it to a report of `units`. */
export const provenanceOf = (units: readonly UnitProvenance[] = []): Provenance => ({
  command: "bun run pipeline trial.ts",
  pipeline: { name: "trial", file: "pipelines/trial.ts", parameters: { seeds: [1, 2], lr: 1e-5 } },
  report: { label: "study-page", plugin: "study-page", version: 1, options: {}, key: "0".repeat(64) },
  madeBy: madeBy("fp32"),
  units,
})

export const madeBy = (precision: string) => ({
  machine: { cpu: "a processor", cores: 2, memory: 8e9, os: "Linux 6 x64" },
  software: { kasosei: "0.1.0", runtime: "bun 1.4.5", packages: { effect: "4.1.0" }, commit: null },
  computed: { backend: "native", precision, instructions: "AVX2", threads: [2] },
  run: {
    command: "bun run pipeline trial.ts",
    pipeline: { name: "trial", file: "trial.ts", parameters: {} },
  },
  cpuSeconds: 3,
  peakMemory: 1e9,
})

export const unit = (parts: Partial<UnitProvenance>): UnitProvenance => ({
  label: "toy-corpus",
  stage: "data",
  plugin: "toy-corpus",
  version: 1,
  options: {},
  key: "1".repeat(64),
  read: {},
  state: "done",
  reason: null,
  digest: "2".repeat(64),
  made: "2026-01-02T03:04:05.000Z",
  seconds: 1.5,
  madeBy: madeBy("fp32"),
  ...parts,
})
