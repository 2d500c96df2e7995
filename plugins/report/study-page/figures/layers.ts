import { distinct } from "../study.ts"

/** Where a layer, counted from 0 as everywhere in the data, stands on an axis, which counts from 1 as the paper does. */
export const onLayerAxis = (layer: number): number => layer + 1

/** Position by layer, the field `axisLayer`; every layer observed is inside. */
export const layerAxis = (records: readonly { readonly layer: number }[]) => {
  const layers = distinct(records, ({ layer }) => onLayerAxis(layer))
  const first = layers[0]!
  const last = layers[layers.length - 1]!
  return {
    field: "axisLayer",
    type: "quantitative" as const,
    scale: { domain: [first - 0.5, last + 0.5], nice: false, zero: false },
    axis: { title: "layer", format: "d", tickMinStep: 1, grid: false },
  }
}

/** Position by normalised effective rank: from a tenth below what is drawn up to the maximum, 1. */
export const rankAxis = (values: readonly number[], title: string | null) => ({
  type: "quantitative" as const,
  scale: {
    domain: [Math.floor(Math.min(...values) * 10) / 10, Math.max(1, ...values)],
    nice: false,
    zero: false,
  },
  axis: { title },
})
