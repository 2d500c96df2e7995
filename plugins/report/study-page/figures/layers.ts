import { distinct } from "../study.ts"

/** Position by layer, counted from 1; every layer observed is inside. */
export const layerAxis = (records: readonly { readonly layer: number }[]) => {
  const layers = distinct(records, ({ layer }) => layer)
  const first = layers[0]!
  const last = layers[layers.length - 1]!
  return {
    field: "layer",
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
