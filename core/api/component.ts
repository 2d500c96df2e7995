/** A part of a method that can be exchanged: an optimiser, a schedule, a regulariser. A plugin takes it as an option. */
import { type } from "arktype"
import { InvalidInput } from "../io/decode.ts"
import { optionProblems } from "../io/options.ts"

/** What every component has besides its functions. */
export interface Component<out Role extends string = string> {
  readonly kind: "component"
  /** What it can be used as: `optimiser`. */
  readonly role: Role
  /** Lower case with hyphens, unique in its role: `lion`. */
  readonly name: string
  /** Its options once validated, defaults filled in. */
  readonly options: Readonly<Record<string, unknown>>
  /** `import.meta.url` of its file. What that runs is part of the keys of the artifacts that it is used for. */
  readonly module: string
  /** As keys and manifests have it: `{ "lion": { "beta1": 0.9 } }`. */
  readonly toJSON: () => unknown
}

interface ComponentDefinition<Role extends string, O extends type.Any, Functions extends object> {
  readonly role: Role
  readonly name: string
  readonly module: string
  /** An arktype of an object that rejects unknown keys. */
  readonly options: O
  /** The functions of its role. */
  readonly make: (options: O["infer"]) => Functions
}

/**
 * Declares a component.
 *
 * ```ts
 * export const sgd = component({
 *   role: "optimiser", name: "sgd", module: import.meta.url,
 *   options: type({ "+": "reject", momentum: "0 <= number < 1 = 0" }),
 *   make: ({ momentum }) => ({ init: …, update: … }),
 * })
 * ```
 *
 * A pipeline file then gives it to a plugin: `classification({ …, optimiser: sgd({ momentum: 0.9 }) })`.
 *
 * @returns a function from options to the component, which throws InvalidInput if they are wrong
 */
export const component = <const Role extends string, O extends type.Any, Functions extends object>({
  role,
  name,
  module,
  options: schema,
  make,
}: ComponentDefinition<Role, O, Functions>): ComponentMaker<
  O["inferIn"],
  Component<Role> & Functions,
  Role
> => {
  const made = (given: O["inferIn"]): Component<Role> & Functions => {
    const options: unknown = schema(given)
    if (options instanceof type.errors) {
      throw new InvalidInput({ what: `the ${role} ${name}`, problems: optionProblems(schema, options) })
    }
    const settings = options as Readonly<Record<string, unknown>>
    const toJSON = () => ({ [name]: settings })
    return { ...make(settings), kind: "component", role, name, options: settings, module, toJSON }
  }
  // A function's own name is read-only.
  return Object.defineProperties(made, {
    kind: { value: "component-maker" },
    role: { value: role },
    name: { value: name },
  }) as typeof made & { readonly kind: "component-maker"; readonly role: Role }
}

/** What `component` returns: a function from options, which says what it makes. */
export interface ComponentMaker<in Given = never, out C = Component, out Role extends string = string> {
  (given: Given): C
  readonly kind: "component-maker"
  /** What it can be used as: `optimiser`. */
  readonly role: Role
  readonly name: string
}

/** Whether a value is a component of any role. */
export const isComponent = (value: unknown): value is Component =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "component"

/** The arktype of an option that takes a component of a role. */
export const componentOf = <C extends Component>(role: C["role"], article = "a"): type<C> =>
  type.unknown
    .narrow((value, context) =>
      isComponent(value) && value.role === role ? true : context.mustBe(`${article} ${role}`),
    )
    .describe(`${article} ${role}`) as unknown as type<C>

/** All components in the options of a plugin, those inside other components included. */
export const componentsIn = (options: unknown): readonly Component[] => {
  if (typeof options !== "object" || options === null) return []
  if (isComponent(options)) return [options, ...componentsIn(options.options)]
  return Object.values(options).flatMap(componentsIn)
}
