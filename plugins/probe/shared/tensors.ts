/** The 16 tensors of a layer by names that do not depend on the model's layout, and groups of them. */
import type { Layout } from "../../model/layouts/layout.ts"

const attention = ["query", "key", "value", "attentionOutput"] as const
const feedForward = ["intermediate", "output"] as const
/** In the model's order. */
const parts = [...attention, "attentionNorm", ...feedForward, "outputNorm"] as const
type Part = (typeof parts)[number]

/** `query.weight`, `query.bias` and so on, in the model's order, each with its parameter's name. */
export const tensorsOf = (layout: Layout, layer: number): ReadonlyMap<string, string> => {
  const names = layout.layer(layer)
  return new Map(
    parts.flatMap((part) =>
      ["weight", "bias"].map((kind) => [`${part}.${kind}`, `${names[part]}.${kind}`] as const),
    ),
  )
}

/** Which tensors are in a group. */
const groups = {
  all: () => true,
  attention: (part) => attention.some((other) => other === part),
  "feed-forward": (part) => feedForward.some((other) => other === part),
  "layer-norm": (part) => part.endsWith("Norm"),
  weights: (part, kind) => kind === "weight" && !part.endsWith("Norm"),
  biases: (_, kind) => kind === "bias",
} as const satisfies Readonly<Record<string, (part: Part, kind: string) => boolean>>

export type TensorGroup = keyof typeof groups
export const tensorGroups = Object.keys(groups) as readonly TensorGroup[]

/**
 * Whether a tensor of a layer, such as `query.weight`, is in a group: `attention` and `feed-forward` are linear maps with
 * their biases, `weights` the matrices of all linear maps, `biases` all biases, those of LayerNorms too.
 */
export const isIn = (group: TensorGroup, tensor: string): boolean => {
  const [part, kind] = tensor.split(".") as [Part, string]
  return groups[group](part, kind)
}
