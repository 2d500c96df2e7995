/** Holm's step-down adjustment of p values for their number; the order of the values is kept. */
export const holm = (pValues: readonly number[]): readonly number[] => {
  const order = pValues.map((_, i) => i).sort((a, b) => pValues[a]! - pValues[b]!)
  const adjusted = new Array<number>(pValues.length)
  let largest = 0
  order.forEach((index, position) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - position) * pValues[index]!))
    adjusted[index] = largest
  })
  return adjusted
}
