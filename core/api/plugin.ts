import { type } from "arktype"
import type { Effect } from "effect"
import type { AnyArtifactKind, Estimate, Given, Taken } from "../artifacts/kind.ts"
import type { Row } from "../artifacts/observations.ts"
import type { InvalidInput } from "../io/decode.ts"
import type { FileError } from "../io/files.ts"
import { optionProblems } from "../io/options.ts"
import type { Cost } from "./cost.ts"
import type { Differences } from "./difference.ts"
import type { UnitFailure } from "./failure.ts"
import { countNode } from "./plan-size.ts"
import type { Progress } from "./progress.ts"
import type { Provenance } from "./provenance.ts"
import type { Stage } from "./stage.ts"
import type { Replay, RunLength, Watch } from "./watch.ts"

/** The expected errors of a plugin. Anything else that it throws is a bug and is reported with its stack trace. */
export type PluginError = FileError | InvalidInput | UnitFailure

// --- what a plugin takes -----------------------------------------------------------------------------------

/** An input that may be omitted; see `optional`. */
export interface Optional<K extends AnyArtifactKind> {
  readonly optional: K
}

/** An input of many artifacts; see `cohorts`. */
export interface Cohorts<K extends AnyArtifactKind> {
  readonly cohorts: K
}

/** Declares an input that may be omitted; the plugin then takes `undefined`. */
export const optional = <K extends AnyArtifactKind>(kind: K): Optional<K> => ({ optional: kind })
/** Declares an input of any number of cohorts of one kind. The plugin takes failed members too, as failures. */
export const cohorts = <K extends AnyArtifactKind>(kind: K): Cohorts<K> => ({ cohorts: kind })

/** The inputs of a plugin by name: an artifact's kind, `optional(kind)` or `cohorts(kind)`. */
export type Takes = Readonly<
  Record<string, AnyArtifactKind | Optional<AnyArtifactKind> | Cohorts<AnyArtifactKind>>
>

/** Labels that distinguish a cohort from the others of a grid: `{ arm: "vanilla", lr: 1e-5 }`. */
export type Labels = Readonly<Record<string, string | number>>

/** A member of a cohort as a plugin takes it: the artifact, or why there is none. */
export type Outcome<T> =
  | { readonly status: "done"; readonly value: T }
  | {
      readonly status: "diverged" | "failed"
      readonly reason: string
      /** The training step at which it failed, if any. */
      readonly step?: number
    }

/** A cohort as a plugin takes it, once all its members have finished or failed. */
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

/** A cohort as `estimate` sees it. */
export interface CohortEstimated<E> {
  readonly labels: Labels
  readonly members: readonly { readonly seed: number; readonly estimate: E }[]
}

type InputEstimate<T> =
  T extends Optional<infer K>
    ? Estimate<K> | undefined
    : T extends Cohorts<infer K>
      ? readonly CohortEstimated<Estimate<K>>[]
      : Estimate<T>

/** What `run` receives for the inputs of a plugin. */
export type InputsTaken<I extends Takes> = { readonly [N in keyof I]: InputTaken<I[N]> }
/** What `estimate` receives for the inputs of a plugin. */
export type InputsEstimate<I extends Takes> = { readonly [N in keyof I]: InputEstimate<I[N]> }

// --- nodes: plugins applied to inputs and options ----------------------------------------------------------

/**
 * A plugin applied to its options and inputs, before anything runs. Pipeline files compose nodes into a graph.
 *
 * @typeParam K the kind of artifact that it gives
 * @typeParam View what a probe that watches it sees; `unknown` if it cannot be watched
 */
export interface Node<out K extends AnyArtifactKind = AnyArtifactKind, out View = unknown> {
  readonly plugin: AnyPlugin
  /** The options as the pipeline file gave them. */
  readonly given: Readonly<Record<string, unknown>>
  /** The options once validated, defaults filled in. */
  readonly options: Readonly<Record<string, unknown>>
  readonly inputs: Readonly<Record<string, Node | readonly Cohort<Node>[]>>
  /** Problems with the options; a plan lists those of all nodes at once. */
  readonly problems: readonly string[]
  /** Type only. */
  readonly gives?: K
  /** Type only. */
  readonly view?: View
}

/** The same unit of work for each of several seeds. */
export interface Cohort<out N extends Node = Node> {
  readonly labels: Labels
  readonly members: readonly { readonly seed: number; readonly node: N }[]
}

type InputNode<T> =
  T extends Cohorts<infer K> ? readonly Cohort<Node<K>>[] : T extends AnyArtifactKind ? Node<T> : never

/** What a pipeline file gives for the inputs of a plugin. */
export type InputNodes<I extends Takes> = {
  readonly [N in keyof I as I[N] extends Optional<AnyArtifactKind> ? never : N]: InputNode<I[N]>
} & {
  readonly [N in keyof I as I[N] extends Optional<AnyArtifactKind> ? N : never]?: I[N] extends Optional<
    infer K
  >
    ? Node<K> | undefined
    : never
}

// --- plugins -----------------------------------------------------------------------------------------------

export interface Identity {
  /** Lower case with hyphens, unique among the plugins: `simcse`. */
  readonly name: string
  /**
   * Raise it when the same options and inputs give a different artifact for a reason that keys do not see: an import
   * whose path is known only at run time, another program, something on the network. An edit of the source needs none.
   */
  readonly version: number
  /**
   * `import.meta.url`. The code that the plugin's file runs is part of the key of its artifacts: the file and all that
   * it imports, here, in core and in other packages. After an edit, but not of comments, types or formatting, they are
   * made again.
   */
  readonly module: string
  /** One line for `bun run plugins`. */
  readonly summary: string
}

/** What a plugin's `run` receives. */
export interface RunContext<O, I extends Takes, View> {
  readonly options: O
  readonly inputs: InputsTaken<I>
  /** A folder of the unit's own, for the state to resume from after a stop. Deleted when the unit has finished. */
  readonly scratch: string
  /** The name of the pipeline's tensor backend, which is running if the plugin `usesBackend`. */
  readonly backend: string
  /**
   * Where this unit comes from, for reports: the command, and how all that it is made from was made, as far as that is
   * known now. Keys do not depend on it, so nothing else may go into an artifact than what a report says of it.
   */
  readonly provenance: Effect.Effect<Provenance, FileError | InvalidInput>
  /** What any two of its cohorts differ in, for reports that compare them. */
  readonly differences: Differences
  /** The probes that watch this unit: none if the plugin declares no `View`. */
  readonly watch: Watch<View>
}

/** A plugin of any type, as the engine handles it: see `plugin`, and `probe` in `probe.ts`. */
export interface AnyPlugin extends Identity {
  readonly kind: "plugin"
  readonly stage: Stage
  readonly options: type.Any
  readonly takes: Takes
  readonly gives: AnyArtifactKind
  readonly usesBackend: boolean
  readonly reads?: (options: never) => readonly string[]
  readonly checkFiles?: (options: never) => Effect.Effect<void, PluginError, Progress>
  /** Whether probes can watch it. */
  readonly watchable?: boolean
  /** Of a run that can be branched: the options that can change during it. */
  readonly changes?: type.Any
  /** Of a run that can be branched: the name of the report that compares it with its branches. */
  readonly comparedBy?: string
  /** Of probes only: the name of the input that it watches instead of taking. */
  readonly watches?: string
  readonly estimate: (
    options: never,
    inputs: never,
  ) => { readonly artifact: unknown; readonly cost: Cost; readonly replay?: Replay }
  readonly design?: (options: never, inputs: never) => readonly string[]
  readonly confounders?: (options: never, inputs: never, differences: Differences) => readonly string[]
  readonly run?: (context: never) => Effect.Effect<unknown, PluginError, Progress>
  readonly probe?: AnyProbe
}

/** A probe's functions, whatever their types: see `probe.ts`. */
export interface AnyProbe {
  readonly steps: (options: never, run: RunLength) => Iterable<number>
  readonly observe: (view: never, context: never) => Observed
  readonly finish?: (view: never, context: never) => Observed
}

/** Rows, or an effect that gives them. */
export type Observed<R extends Row = Row> = readonly R[] | Effect.Effect<readonly R[], PluginError>

type PluginNode<O extends type.Any, I extends Takes, K extends AnyArtifactKind, View> = (
  settings: InputNodes<I> & O["inferIn"],
) => Node<K, View>

export interface GivingPlugin<K extends AnyArtifactKind> extends AnyPlugin {
  readonly gives: K
}

/** A plugin: a function from its inputs and options to a node, with its declaration as properties. */
export type Plugin<O extends type.Any, I extends Takes, K extends AnyArtifactKind, View> = PluginNode<
  O,
  I,
  K,
  View
> &
  GivingPlugin<K>

interface PluginDefinition<O extends type.Any, I extends Takes, K extends AnyArtifactKind, View>
  extends Identity {
  readonly stage: Stage
  /** An arktype of an object that rejects unknown keys. Option names must differ from the names of inputs. */
  readonly options: O
  /** Its inputs by name, `{}` for none; a pipeline file gives them beside the options. */
  readonly takes: I
  /** The kind of its artifact. */
  readonly gives: K
  /** Whether it computes with tensors. If so, a backend is running, and backend and precision are part of its key. */
  readonly usesBackend: boolean
  /**
   * Local files and folders that it reads, and repositories on the hub (`hubSources`). The content of the ones and the
   * commits of the others are part of the key of its artifact, so of a folder it names only the files that it reads: it
   * may look which are there.
   *
   * @throws FileError if they are not there, which the plan then reports
   */
  readonly reads?: (options: O["infer"]) => readonly string[]
  /**
   * Whether the files that `reads` names hold what `run` expects: a plan, and a run before anything starts, refuses
   * what does not, with the problems of all units at once. It reads what is quick to read, a second's worth at most:
   * headers, the first rows, all of a small file. What is on the hub is not there yet and passes. It is asked once for
   * each unit that is to be made, and again only if the files, the options or the code of the plugin have changed.
   *
   * @throws FileError, InvalidInput with the file, the line or column, what was expected and what was found
   */
  readonly checkFiles?: (options: O["infer"]) => Effect.Effect<void, PluginError, Progress>
  /**
   * Of a run that can be branched: an arktype of the options that can change during it, all of them optional. Its options
   * then have `branch`, as in `Branched` of `branch.ts`: a list of `{ at, set }`, where `set` is of this type.
   */
  readonly changes?: type.Any
  /**
   * Of a run that can be branched: the name of the report plugin that compares it with its branches, which takes them as
   * cohorts named `runs` and needs no options but `title`.
   */
  readonly comparedBy?: string
  /**
   * What is known of the artifact (sizes, counts) and what the unit costs, before anything runs: from the options and
   * the estimates of the inputs, for cohorts those of all members. Pure and fast: of files it looks at their sizes, or
   * counts what is in them.
   *
   * @throws InvalidInput if the options do not fit the inputs
   */
  readonly estimate: (
    options: O["infer"],
    inputs: InputsEstimate<I>,
  ) => {
    readonly artifact: Estimate<K>
    readonly cost: Cost
    /**
     * Of a run that probes watch: what it costs to run it again for them alone, up to the last step that they observe.
     * Without this, a plan expects that to cost as much as the whole run.
     */
    readonly replay?: Replay
  }
  /**
   * Sentences for `--plan` about what its artifact can show, and what it cannot, with the runs and seeds that it takes:
   * the least p that a test can reach, the power for an effect. Called only for a target of the pipeline. From the same
   * as `estimate`, and as pure; what does not fit at all is for `estimate` to refuse.
   */
  readonly design?: (options: O["infer"], inputs: InputsEstimate<I>) => readonly string[]
  /**
   * Sentences about confounders: what the cohorts that it compares differ in besides what they are declared to. `--plan`
   * prints them after those of `design`, and a run warns of them when it starts.
   */
  readonly confounders?: (
    options: O["infer"],
    inputs: InputsEstimate<I>,
    differences: Differences,
  ) => readonly string[]
  /**
   * Makes the artifact. If it takes long, it reports to `Progress`, and on interruption saves into `scratch` what it
   * needs to resume with the same result.
   */
  readonly run: (context: RunContext<O["infer"], I, View>) => Effect.Effect<Given<K>, PluginError, Progress>
}

/** Whether probes can watch a plugin: those whose `run` shows a view to `watch` say so, so that a plan can check it. */
type Watchable<View> = [View] extends [never]
  ? NotWatchable
  : unknown extends View
    ? NotWatchable
    : { readonly watchable: true }
interface NotWatchable {
  readonly watchable?: never
}

/** A plugin applied to its inputs and options, given together by name. */
export const nodeOf = (declaration: AnyPlugin, settings: Readonly<Record<string, unknown>>): Node => {
  countNode()
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

/**
 * The function that a pipeline file calls, with its declaration as properties: for `plugin` and `probe` alone.
 *
 * A function's own `name` is read-only, so the properties are defined rather than assigned.
 */
export const callable = <F, K extends AnyArtifactKind>(
  definition: Omit<AnyPlugin, "kind">,
): F & GivingPlugin<K> => {
  const declaration: AnyPlugin = { ...definition, kind: "plugin" }
  const call = (settings: Readonly<Record<string, unknown>>) => nodeOf(declaration, settings)
  for (const [name, value] of Object.entries(declaration)) {
    Object.defineProperty(call, name, { value, enumerable: true })
  }
  return call as unknown as F & GivingPlugin<K>
}

/**
 * Declares a plugin, in a file of its own in its stage's folder. One that watches a run is declared by `probe` instead.
 *
 * ```ts
 * export const lines = plugin({
 *   name: "lines", stage: "data", version: 1, module: import.meta.url, summary: "Text, one sentence a line",
 *   options: type({ "+": "reject", path: "string" }), takes: { vocabulary: Vocabulary }, gives: Corpus,
 *   usesBackend: false, estimate: () => …, run: Effect.fn("lines")(function* ({ options, inputs }) { … }),
 * })
 * ```
 *
 * A pipeline file then calls it with inputs and options together: `lines({ vocabulary, path: "corpus.txt" })`.
 *
 * A plugin that probes can watch declares `watchable: true`, and its `run` calls `watch`.
 *
 * @typeParam View what the plugin lets probes see while it runs; `unknown`, the default, means that none can watch it
 */
export const plugin = <O extends type.Any, const I extends Takes, K extends AnyArtifactKind, View = unknown>(
  definition: PluginDefinition<O, I, K, View> & Watchable<View>,
): Plugin<O, I, K, View> =>
  callable<PluginNode<O, I, K, View>, K>(definition as unknown as Omit<AnyPlugin, "kind">)
