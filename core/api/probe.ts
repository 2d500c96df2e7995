/** A probe: a plugin that watches a run and observes its model at chosen steps. */
import type { type } from "arktype"
import type { Effect } from "effect"
import type { AnyArtifactKind } from "../artifacts/kind.ts"
import type { ObservationsKind, Row } from "../artifacts/observations.ts"
import type { Cost } from "./cost.ts"
import {
  type AnyPlugin,
  callable,
  type Identity,
  type InputNodes,
  type InputsEstimate,
  type InputsTaken,
  type Node,
  type Observed,
  type PluginError,
  type Takes,
} from "./plugin.ts"
import type { RunLength } from "./watch.ts"

/**
 * What a probe's `observe` and `finish` receive besides the view.
 *
 * @typeParam I its inputs, as `takes` declares them
 */
export interface ObserveContext<O, I extends Takes = NoInputs> {
  readonly options: O
  /** What it takes besides the run that it watches; to be read only. */
  readonly inputs: InputsTaken<I>
  /** The length of the run that it watches. */
  readonly run: RunLength
  /** A folder of the probe's own, kept when the run is stopped and deleted when the probe has finished. */
  readonly scratch: string
  /**
   * Hands over work that goes on beside the run, such as to write what takes long to leave a device. It begins when the
   * observation has ended, and up to its first wait the run stands still: by then it has copied what it needs of the
   * model, and it disposes of its copies in every case. The observation is made only once the work has ended, and fails
   * if that fails. One such work of a run goes on at a time.
   */
  readonly beside: (work: Effect.Effect<void, PluginError>) => void
}

/** The input that is the run to watch: no other may have its name. */
const watchedInput = "run"

type NoInputs = Readonly<Record<never, never>>

interface ProbeDefinition<V, O extends type.Any, R extends Row, WatchedEstimate, I extends Takes>
  extends Identity {
  /** An arktype of an object that rejects unknown keys. */
  readonly options: O
  /** What it takes besides the run that it watches, by name: an artifact's kind, `optional(kind)` or `cohorts(kind)`. */
  readonly takes?: I & { readonly [watchedInput]?: never }
  /** The kind of its observations: `observationsOf(rowType)`. */
  readonly gives: ObservationsKind<R>
  /** The steps that it observes, each from 0 to `run.steps`: step t is the model after t updates. */
  readonly steps: (options: O["infer"], run: RunLength) => Iterable<number>
  /**
   * The rows of this step. It disposes of all tensors that it makes. It fails if it has changed anything of the run,
   * which is then made again without it.
   */
  readonly observe: (view: V, context: ObserveContext<O["infer"], I>) => Observed<R>
  /** The rows that need the end of the run; `view` is the model after the last update. */
  readonly finish?: (view: V, context: ObserveContext<O["infer"], I>) => Observed<R>
  /**
   * The number of rows and the cost of all observations of a run, before anything runs. Pure and fast.
   *
   * @throws InvalidInput if the options do not fit the run, such as a step beyond its end
   */
  readonly estimate: (
    options: O["infer"],
    run: WatchedEstimate,
    inputs: InputsEstimate<I>,
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
 * A pipeline file then calls it with the run to watch, the inputs that it takes and its options:
 * `norm({ run, steps: { at: [0] } })`.
 *
 * @typeParam V what the run that it watches lets it see, such as `ClassifierView` of `plugins/model`
 * @typeParam WatchedEstimate what is known of that run before it starts, such as `RunEstimate`
 */
export const probe =
  <V, WatchedEstimate>() =>
  <O extends type.Any, R extends Row, const I extends Takes = NoInputs>(
    definition: ProbeDefinition<V, O, R, WatchedEstimate, I>,
  ) => {
    const { steps, observe, finish, estimate, takes, ...identity } = definition
    const declaration = {
      ...identity,
      stage: "probe",
      takes: takes ?? {},
      watches: watchedInput,
      usesBackend: true,
      probe: { steps, observe, ...(finish === undefined ? {} : { finish }) },
      estimate: (
        options: O["infer"],
        { [watchedInput]: run, ...inputs }: { readonly [watchedInput]: WatchedEstimate },
      ) => {
        const { rows, cost } = estimate(options, run, inputs as unknown as InputsEstimate<I>)
        const at = hasLength(run) ? { steps: [...steps(options, run)] } : {}
        return { artifact: { rows, columns: identity.gives.columns, ...at }, cost }
      },
    }
    type Settings = { readonly [watchedInput]: Node<AnyArtifactKind, V> } & InputNodes<I> & O["inferIn"]
    return callable<(settings: Settings) => Node<typeof definition.gives>, typeof definition.gives>(
      declaration as unknown as Omit<AnyPlugin, "kind">,
    )
  }

/** An estimate of what trains for a number of updates that is known before. */
const hasLength = (estimate: unknown): estimate is RunLength =>
  typeof estimate === "object" && estimate !== null && "steps" in estimate && "warmupSteps" in estimate
