import { type } from "arktype"
import type { Effect } from "effect"
import type { AnyArtifactKind, ArtifactKind, Estimate, Given, Taken } from "../artifacts/kind.ts"
import type { Row } from "../artifacts/observations.ts"
import type { InvalidInput } from "../io/decode.ts"
import type { FileError } from "../io/files.ts"
import { optionProblems } from "../io/options.ts"
import type { Cost } from "./cost.ts"
import type { UnitFailure } from "./failure.ts"
import type { Progress } from "./progress.ts"
import type { Stage } from "./stage.ts"
import type { RunLength, Watch } from "./watch.ts"

/** What may go wrong inside a plugin; anything else that it throws is a defect and is reported with its stack. */
export type PluginError = FileError | InvalidInput | UnitFailure

// --- what a plugin takes -----------------------------------------------------------------------------------

/** An input that may be left out. */
export interface Optional<K extends AnyArtifactKind> {
  readonly optional: K
}

/** An input of many artifacts: cohorts of the same kind, failed members included. */
export interface Cohorts<K extends AnyArtifactKind> {
  readonly cohorts: K
}

export const optional = <K extends AnyArtifactKind>(kind: K): Optional<K> => ({ optional: kind })
export const cohorts = <K extends AnyArtifactKind>(kind: K): Cohorts<K> => ({ cohorts: kind })

export type Takes = Readonly<
  Record<string, AnyArtifactKind | Optional<AnyArtifactKind> | Cohorts<AnyArtifactKind>>
>

/** Labels that tell a cohort from the others in a grid: `{ arm: "vanilla", lr: 1e-5 }`. */
export type Labels = Readonly<Record<string, string | number>>

/** A member of a cohort when it is taken: the artifact, or why there is none. */
export type Outcome<T> =
  | { readonly status: "done"; readonly value: T }
  | {
      readonly status: "diverged" | "failed"
      readonly reason: string
      readonly step?: number
    }

export interface CohortTaken<T> {
  readonly labels: Labels
  readonly members: readonly { readonly seed: number; readonly outcome: Outcome<T> }[]
}

type InputTaken<T> =
  T extends Optional<infer K>
    ? Taken<K> | undefined
    : T extends Cohorts<infer K>
      ? readonly CohortTaken<Taken<K>>[]
      : Taken<T>

type InputEstimate<T> =
  T extends Optional<infer K>
    ? Estimate<K> | undefined
    : T extends Cohorts<infer K>
      ? readonly Estimate<K>[]
      : Estimate<T>

export type InputsTaken<I extends Takes> = { readonly [N in keyof I]: InputTaken<I[N]> }
export type InputsEstimate<I extends Takes> = { readonly [N in keyof I]: InputEstimate<I[N]> }

// --- nodes: plugins applied to inputs and options ----------------------------------------------------------

/**
 * A plugin with its options and inputs, before anything runs: what pipeline files are made of.
 *
 * @typeParam K the kind of artifact that it gives
 * @typeParam View what a probe that watches it sees; `unknown` where it cannot be watched
 */
export interface Node<out K extends AnyArtifactKind = AnyArtifactKind, out View = unknown> {
  readonly plugin: AnyPlugin
  /** The options as the pipeline file gave them. */
  readonly given: Readonly<Record<string, unknown>>
  /** The options checked and completed. */
  readonly options: Readonly<Record<string, unknown>>
  readonly inputs: Readonly<Record<string, Node | readonly Cohort<Node>[]>>
  /** What is wrong with the options; a plan lists the problems of all nodes at once. */
  readonly problems: readonly string[]
  /** Type only. */
  readonly gives?: K
  /** Type only. */
  readonly view?: View
}

/** The same unit of work over several seeds. */
export interface Cohort<out N extends Node = Node> {
  readonly labels: Labels
  readonly members: readonly { readonly seed: number; readonly node: N }[]
}

type InputNode<T> =
  T extends Cohorts<infer K> ? readonly Cohort<Node<K>>[] : T extends AnyArtifactKind ? Node<T> : never

type InputNodes<I extends Takes> = {
  readonly [N in keyof I as I[N] extends Optional<AnyArtifactKind> ? never : N]: InputNode<I[N]>
} & {
  readonly [N in keyof I as I[N] extends Optional<AnyArtifactKind> ? N : never]?: I[N] extends Optional<
    infer K
  >
    ? Node<K> | undefined
    : never
}

// --- plugins -----------------------------------------------------------------------------------------------

interface Identity {
  /** Lower case with hyphens, unique among the plugins: `simcse`. */
  readonly name: string
  /** Raised when the same options and inputs give another artifact. */
  readonly version: number
  /**
   * `import.meta.url`: the text of the plugin's file, and of those that it imports beside `core`, is part of the key
   * of what it makes.
   */
  readonly module: string
  /** One line for `bun run plugins`. */
  readonly summary: string
}

export interface RunContext<O, I extends Takes, View> {
  readonly options: O
  readonly inputs: InputsTaken<I>
  /** A folder of the unit's own that outlives a stop: state to go on from. Freed when the unit is finished. */
  readonly scratch: string
  /** The tensor backend of the pipeline, by name; started where the plugin `usesBackend`. */
  readonly backend: string
  /** The probes that watch; a plugin that declares no `View` has none. */
  readonly watch: Watch<View>
}

/** Every plugin, whatever its types. */
export interface AnyPlugin extends Identity {
  readonly kind: "plugin"
  readonly stage: Stage
  readonly options: type.Any
  readonly takes: Takes
  readonly gives: AnyArtifactKind
  /** Whether it works on tensors: it then runs with a backend started, and its key names the backend. */
  readonly usesBackend: boolean
  readonly reads?: (options: never) => readonly string[]
  /** The name of the input that it watches instead of taking; only of probes. */
  readonly watches?: string
  readonly estimate: (options: never, inputs: never) => { readonly artifact: unknown; readonly cost: Cost }
  readonly run?: (context: never) => Effect.Effect<unknown, PluginError, Progress>
  readonly probe?: AnyProbe
}

export interface AnyProbe {
  readonly steps: (options: never, run: RunLength) => Iterable<number>
  readonly observe: (view: never, context: never) => Observed
  readonly finish?: (view: never, context: never) => Observed
}

/** Rows, at once or as an effect. */
export type Observed<R extends Row = Row> = readonly R[] | Effect.Effect<readonly R[], PluginError>

type PluginNode<O extends type.Any, I extends Takes, K extends AnyArtifactKind, View> = (
  settings: InputNodes<I> & O["inferIn"],
) => Node<K, View>

interface GivingPlugin<K extends AnyArtifactKind> extends AnyPlugin {
  readonly gives: K
}

/** A plugin is a function from its inputs and options to a node, with its declaration as properties. */
export type Plugin<O extends type.Any, I extends Takes, K extends AnyArtifactKind, View> = PluginNode<
  O,
  I,
  K,
  View
> &
  GivingPlugin<K>

interface PluginDefinition<O extends type.Any, I extends Takes, K extends AnyArtifactKind, View>
  extends Identity {
  readonly stage: Exclude<Stage, "probe">
  /** An arktype of an object that rejects unknown keys. */
  readonly options: O
  readonly takes: I
  readonly gives: K
  readonly usesBackend: boolean
  /** Local files and folders that it reads: their content is part of the key of what it makes. */
  readonly reads?: (options: O["infer"]) => readonly string[]
  /** What is known of the artifact and its cost before anything runs. Pure and quick. */
  readonly estimate: (
    options: O["infer"],
    inputs: InputsEstimate<I>,
  ) => { readonly artifact: Estimate<K>; readonly cost: Cost }
  readonly run: (context: RunContext<O["infer"], I, View>) => Effect.Effect<Given<K>, PluginError, Progress>
}

const build =
  (declaration: AnyPlugin) =>
  (settings: Readonly<Record<string, unknown>>): Node => {
    const names = new Set([
      ...Object.keys(declaration.takes),
      ...(declaration.watches === undefined ? [] : [declaration.watches]),
    ])
    const inputs: Record<string, Node | readonly Cohort<Node>[]> = {}
    const given: Record<string, unknown> = {}
    for (const [name, value] of Object.entries(settings)) {
      if (!names.has(name)) given[name] = value
      else if (value !== undefined) inputs[name] = value as Node | readonly Cohort<Node>[]
    }
    const options: unknown = declaration.options(given)
    return options instanceof type.errors
      ? {
          plugin: declaration,
          given,
          options: given,
          inputs,
          problems: optionProblems(declaration.options, options),
        }
      : { plugin: declaration, given, options: options as Record<string, unknown>, inputs, problems: [] }
  }

/** Functions have a read-only `name`, so the declaration's properties are defined, not assigned. */
const callable = <F, K extends AnyArtifactKind>(definition: Omit<AnyPlugin, "kind">): F & GivingPlugin<K> => {
  const declaration: AnyPlugin = { ...definition, kind: "plugin" }
  const call = build(declaration)
  for (const [name, value] of Object.entries(declaration)) {
    Object.defineProperty(call, name, { value, enumerable: true })
  }
  return call as unknown as F & GivingPlugin<K>
}

/**
 * Declares a plugin of the data, pretrain, finetune or report stage.
 *
 * ```ts
 * export const lines = plugin({
 *   name: "lines", stage: "data", version: 1, module: import.meta.url, summary: "Text, one sentence a line",
 *   options: type({ "+": "reject", path: "string" }), takes: { vocabulary: Vocabulary }, gives: Corpus,
 *   usesBackend: false, estimate: () => …, run: Effect.fn("lines")(function* ({ options, inputs }) { … }),
 * })
 * ```
 */
export const plugin = <O extends type.Any, const I extends Takes, K extends AnyArtifactKind, View = unknown>(
  definition: PluginDefinition<O, I, K, View>,
): Plugin<O, I, K, View> =>
  callable<PluginNode<O, I, K, View>, K>(definition as unknown as Omit<AnyPlugin, "kind">)

// --- probes ------------------------------------------------------------------------------------------------

export interface ObserveContext<O> {
  readonly options: O
  readonly run: RunLength
  /** A folder of the probe's own that outlives a stop and is freed when the probe is finished. */
  readonly scratch: string
}

interface ProbeDefinition<V, O extends type.Any, R extends Row, WatchedEstimate> extends Identity {
  readonly options: O
  /** The kind of its observations: `observationsOf(rowType)`. */
  readonly gives: ArtifactKind<"observations", readonly R[], readonly R[], { readonly rows: number }>
  /** The steps that it observes; step t is the model after t updates, step 0 before the first. */
  readonly steps: (options: O["infer"], run: RunLength) => Iterable<number>
  /** Rows for this step. Leaves the model, its gradients and the number of tensors as it found them. */
  readonly observe: (view: V, context: ObserveContext<O["infer"]>) => Observed<R>
  /** Rows that need the end of the run; `view` is the run's last step. Its steps must include the last one. */
  readonly finish?: (view: V, context: ObserveContext<O["infer"]>) => Observed<R>
  readonly estimate: (
    options: O["infer"],
    run: WatchedEstimate,
  ) => { readonly rows: number; readonly cost: Cost }
}

/**
 * Declares a probe: it observes a model while it is trained, and gives rows.
 *
 * A probe keeps nothing in memory from one observation to the next: what it needs later goes into `scratch`, so that a
 * run which was stopped and resumed gives the same observations.
 *
 * @typeParam V what the run that it watches shows, such as `ClassifierView` of `plugins/model`
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
