/**
 * Matthews' correlation coefficient of two or more classes (Gorodkin 2004), as scikit-learn's `matthews_corrcoef`
 * computes it.
 *
 * @returns a number in [−1, 1]; 0 if all predictions or all labels are of one class, as in scikit-learn
 */
export const matthews = (predictions: Float64Array, labels: Float64Array): number => {
  const predicted = countsOf(predictions)
  const labelled = countsOf(labels)
  const total = labels.length
  let correct = 0
  for (let i = 0; i < total; i++) if (predictions[i] === labels[i]) correct++
  let both = 0
  for (const [label, count] of labelled) both += count * (predicted.get(label) ?? 0)
  const spread = (total ** 2 - squares(predicted)) * (total ** 2 - squares(labelled))
  return spread === 0 ? 0 : (correct * total - both) / Math.sqrt(spread)
}

const countsOf = (classes: Float64Array): ReadonlyMap<number, number> => {
  const counts = new Map<number, number>()
  for (const each of classes) counts.set(each, (counts.get(each) ?? 0) + 1)
  return counts
}

const squares = (counts: ReadonlyMap<number, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count ** 2, 0)
