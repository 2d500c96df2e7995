import { distinct } from "../study.ts"

/** The number of a layer on an axis, which counts from 1 as the paper does; data count layers from 0. */
export const onLayerAxis = (layer: number): number => layer + 1

/** The axis of the field `axisLayer`, wide enough for every observed layer. */
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

/** The axis of normalised effective ranks: from the next tenth below `values` to 1, or to the largest value if higher. */
export const rankAxis = (values: readonly number[], title: string | null) => ({
  type: "quantitative" as const,
  scale: {
    domain: [Math.floor(Math.min(...values) * 10) / 10, Math.max(1, ...values)],
    nice: false,
    zero: false,
  },
  axis: { title },
})
