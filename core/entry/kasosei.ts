/**
 * What `import … from "kasosei"` gives to the plugins and pipelines of a project of one's own. Beside it there are
 * `kasosei/plugins/<stage>/<plugin>`, every file in `plugins` under its path without ending, `kasosei/pipelines/…` and
 * `kasosei/testing`.
 *
 * arktype's `type`, `Effect` and tfjs's `tf` are those that this package computes with: a second copy of them in a
 * project would not understand the options, effects and tensors of this one.
 *
 * Each export names its file, so that a name leads to the module that it comes from: no `export *` of a module here.
 */
export * as tf from "@tensorflow/tfjs-core"
export { type } from "arktype"
export { Effect } from "effect"
export { type Bench, type BenchJob, bench } from "../api/bench.ts"
export { type Branch, type Branched, branch, optionsByStep } from "../api/branch.ts"
export { type Check, check } from "../api/check.ts"
export { type Component, type ComponentMaker, component, componentOf } from "../api/component.ts"
export { type Cost, cost, together } from "../api/cost.ts"
export { type CohortPlace, type Difference, type Differences, mergedDifferences } from "../api/difference.ts"
export { UnitFailure } from "../api/failure.ts"
export {
  cohort,
  describeLabels,
  grid,
  mapCohort,
  type Pipeline,
  pipeline,
  type Targets,
} from "../api/pipeline.ts"
export {
  type AnyPlugin,
  type Cohort,
  type CohortEstimated,
  type CohortTaken,
  cohorts,
  type Identity,
  type InputsEstimate,
  type Labels,
  type Node,
  type Observed,
  type Outcome,
  optional,
  type Plugin,
  type PluginError,
  plugin,
  type RunContext,
  type Takes,
} from "../api/plugin.ts"
export { type ObserveContext, probe } from "../api/probe.ts"
export { Progress } from "../api/progress.ts"
export type {
  Commit,
  Computed,
  Machine,
  MadeBy,
  Maker,
  PipelineRun,
  Provenance,
  UnitProvenance,
} from "../api/provenance.ts"
export { type ComparedNumber, type Quantity, quantity } from "../api/quantity.ts"
export type { Stage } from "../api/stage.ts"
export type { Guard, RunLength, Watch } from "../api/watch.ts"
export { ArrayFile, readArray, writeArray } from "../artifacts/arrays.ts"
export {
  Checkpoint,
  type CheckpointEstimate,
  type CheckpointGiven,
  type CheckpointTaken,
} from "../artifacts/checkpoint.ts"
export { Corpus, type CorpusEstimate } from "../artifacts/corpus.ts"
export {
  baselineOf,
  Examples,
  type ExamplesEstimate,
  type Split,
  selectExamples,
} from "../artifacts/examples.ts"
export type { AnyArtifactKind, ArtifactKind, Estimate, Given, Taken } from "../artifacts/kind.ts"
export { quotient, type Ratio } from "../artifacts/metrics/ratio.ts"
export { spearman } from "../artifacts/metrics/spearman.ts"
export {
  isNoBetter,
  type MetricName,
  metricNames,
  metricProblems,
  type Score,
  score,
} from "../artifacts/metrics.ts"
export {
  anyObservations,
  type Cell,
  type ObservationsEstimate,
  type ObservationsKind,
  observationsOf,
  type Row,
} from "../artifacts/observations.ts"
export { Page, type PageGiven, type PageTaken, provenanceFiles } from "../artifacts/page.ts"
export {
  isFailure,
  Run,
  type RunEstimate,
  type RunGiven,
  type RunTaken,
  scoreOf,
} from "../artifacts/run.ts"
export {
  countOf,
  longest,
  packSequences,
  type Sequence,
  SequencePacker,
  type Sequences,
  selectSequences,
} from "../artifacts/sequences.ts"
export { Similarity, type SimilarityEstimate, type SimilaritySet } from "../artifacts/similarity.ts"
export type { TrainingLength, Traits } from "../artifacts/traits.ts"
export { SpecialTokens, Vocabulary } from "../artifacts/vocabulary.ts"
export { hubAddress, hubSources, localSources, type Repository, Source } from "../hub/address.ts"
export { download, downloadFirst } from "../hub/download.ts"
export { decode, InvalidInput } from "../io/decode.ts"
export {
  attempt,
  exists,
  FileError,
  readBytes,
  readJson,
  readText,
  remove,
  writeFile,
  writeFolder,
  writeJson,
} from "../io/files.ts"
export { formatBytes, formatSeconds, plural, shortNumber } from "../io/format.ts"
export { parseJson } from "../io/json.ts"
export { copy, link, linkFolder, transferExisting } from "../io/link.ts"
export { unknownName } from "../io/nearest-name.ts"
export { optionProblems } from "../io/options.ts"
export { type Backend, BackendUnavailable, backend, startBackend } from "../tensor/backend.ts"
export { borrowKernel, type NamedTensor, transferKernel, writeTensors } from "../tensor/borrow.ts"
export { differentiable, type InputOf, twiceDifferentiable } from "../tensor/differentiable.ts"
export { acos, cos, exp, hypot, log, log1p, power, sin } from "../tensor/elementary.ts"
export { batchesPerEpoch, shuffledBatches } from "../tensor/epochs.ts"
export { guardOf } from "../tensor/guard.ts"
export { defineKernel, type Implementation, implement, type Kernel } from "../tensor/kernel.ts"
export {
  type AttentionOptions,
  attention,
  type PackedSequence,
  type Packing,
} from "../tensor/ops/attention.ts"
export { dropout } from "../tensor/ops/dropout.ts"
export { embedding } from "../tensor/ops/embedding.ts"
export { feedForward, type LinearLayer } from "../tensor/ops/feed-forward.ts"
export { clippingScale, globalNorm } from "../tensor/ops/global-norm.ts"
export { infoNCE } from "../tensor/ops/info-nce.ts"
export { layerNorm, residualNorm } from "../tensor/ops/layer-norm.ts"
export { linear, linearGelu } from "../tensor/ops/linear.ts"
export { gatherRows, rows, scatterAddRows, scatterAddRowsKernel } from "../tensor/ops/rows.ts"
export { softmaxCrossEntropy } from "../tensor/ops/softmax-cross-entropy.ts"
export { sumRowsKernel } from "../tensor/ops/sum-rows.ts"
export { tanh } from "../tensor/ops/tanh.ts"
export { transposeKernel } from "../tensor/ops/transpose.ts"
export {
  type Clipping,
  type Optimiser,
  type OptimiserFunctions,
  type OptimiserStep,
  optimiserOption,
  type Updated,
} from "../tensor/optimiser.ts"
export { adafactor } from "../tensor/optimisers/adafactor.ts"
export { adamw } from "../tensor/optimisers/adamw.ts"
export { lion } from "../tensor/optimisers/lion.ts"
export { sgd } from "../tensor/optimisers/sgd.ts"
export {
  disposeGradients,
  type Gradients,
  type HostTensor,
  Parameters,
  type ReadonlyParameters,
  valueAndGradients,
} from "../tensor/parameters.ts"
export {
  type Parametrisation,
  type ParametrisationFunctions,
  parametrisationOption,
} from "../tensor/parametrisation.ts"
export { mixout } from "../tensor/parametrisations/mixout.ts"
export { type Regulariser, type RegulariserFunctions, regulariserOption } from "../tensor/regulariser.ts"
export { l2SP } from "../tensor/regularisers/l2-sp.ts"
export {
  describeNonFinite,
  openSafetensors,
  type SafetensorsFile,
  type TensorSource,
  writeSafetensors,
} from "../tensor/safetensors.ts"
export {
  learningRates,
  type Schedule,
  type ScheduleFunctions,
  scheduleOption,
  stepsIn,
} from "../tensor/schedule.ts"
export { constantSchedule } from "../tensor/schedules/constant.ts"
export { cosineSchedule } from "../tensor/schedules/cosine.ts"
export { linearSchedule } from "../tensor/schedules/linear.ts"
export {
  type Draw,
  type Dropout,
  integers,
  normal,
  permutation,
  type Stream,
  stream,
  uniform,
} from "../tensor/stream.ts"
export { type Backward, backwardThroughTap, type Receive, type Tap, type Tapped } from "../tensor/tap.ts"
export {
  type Metrics,
  metricsBefore,
  type Training,
  train,
  type UpdateMetrics,
} from "../tensor/training.ts"
export type { Parametrised, UpdateChange, UpdateRule } from "../tensor/training-phases.ts"
