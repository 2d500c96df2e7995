/** A probe: a plugin that watches a run and observes its model at chosen steps. */
import type { type } from "arktype"
import type { AnyArtifactKind, ArtifactKind } from "../artifacts/kind.ts"
import type { Row } from "../artifacts/observations.ts"
import type { Cost } from "./cost.ts"
import { type AnyPlugin, callable, type Identity, type Node, type Observed } from "./plugin.ts"
import type { RunLength } from "./watch.ts"

/** What a probe's `observe` and `finish` receive besides the view. */
export interface ObserveContext<O> {
  readonly options: O
  /** The length of the run that it watches. */
  readonly run: RunLength
  /** A folder of the probe's own, kept when the run is stopped and deleted when the probe has finished. */
  readonly scratch: string
}

interface ProbeDefinition<V, O extends type.Any, R extends Row, WatchedEstimate> extends Identity {
  /** An arktype of an object that rejects unknown keys. */
  readonly options: O
  /** The kind of its observations: `observationsOf(rowType)`. */
  readonly gives: ArtifactKind<"observations", readonly R[], readonly R[], { readonly rows: number }>
  /** The steps that it observes, each from 0 to `run.steps`: step t is the model after t updates. */
  readonly steps: (options: O["infer"], run: RunLength) => Iterable<number>
  /** The rows of this step. Must leave the model, its gradients and the number of tensors as they were. */
  readonly observe: (view: V, context: ObserveContext<O["infer"]>) => Observed<R>
  /** The rows that need the end of the run; `view` is the model after the last update. */
  readonly finish?: (view: V, context: ObserveContext<O["infer"]>) => Observed<R>
  /**
   * The number of rows and the cost of all observations of a run, before anything runs. Pure and fast.
   *
   * @throws InvalidInput if the options do not fit the run, such as a step beyond its end
   */
  readonly estimate: (
    options: O["infer"],
    run: WatchedEstimate,
  ) => { readonly rows: number; readonly cost: Cost }
}

/**
 * Declares a probe: it observes a model during training and gives rows. The README has a complete one.
 *
 * A probe keeps nothing in memory between observations: what it needs later goes into `scratch`, so that a run that
 * was stopped and resumed gives the same rows.
 *
 * ```ts
 * export const norm = probe<ClassifierView, RunEstimate>()({
 *   name: "norm", version: 1, module: import.meta.url, summary: "Norm of the classifier's weight",
 *   options: type({ "+": "reject", steps: Steps }), gives: observationsOf<Row>(Row),
 *   steps: ({ steps }, run) => chooseSteps(steps, run),
 *   observe: ({ step, parameters }) => [{ step, norm: … }],
 *   estimate: ({ steps }, run) => ({ rows: …, cost: cost({ … }) }),
 * })
 * ```
 *
 * A pipeline file then calls it with the run to watch and its options: `norm({ run, steps: { at: [0] } })`.
 *
 * @typeParam V what the run that it watches lets it see, such as `ClassifierView` of `plugins/model`
 * @typeParam WatchedEstimate what is known of that run before it starts, such as `RunEstimate`
 */
export const probe =
  <V, WatchedEstimate>() =>
  <O extends type.Any, R extends Row>(definition: ProbeDefinition<V, O, R, WatchedEstimate>) => {
    const { steps, observe, finish, estimate, ...identity } = definition
    const declaration = {
      ...identity,
      stage: "probe",
      takes: {},
      watches: "run",
      usesBackend: true,
      probe: { steps, observe, ...(finish === undefined ? {} : { finish }) },
      estimate: (options: O["infer"], { run }: { run: WatchedEstimate }) => {
        const { rows, cost } = estimate(options, run)
        return { artifact: { rows }, cost }
      },
    }
    type Settings = { readonly run: Node<AnyArtifactKind, V> } & O["inferIn"]
    return callable<(settings: Settings) => Node<typeof definition.gives>, typeof definition.gives>(
      declaration as unknown as Omit<AnyPlugin, "kind">,
    )
  }
