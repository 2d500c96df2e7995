import type { Ratio } from "./ratio.ts"

/** Of two classes, the one for which F1 is computed: that of paraphrases and duplicates in GLUE's MRPC and QQP. */
const positiveClass = 1

/**
 * F1 of the positive class: the harmonic mean of precision and recall, 2·TP / (2·TP + FP + FN). It is 0 if the class is
 * neither a label nor a prediction, as in scikit-learn's `f1_score`.
 */
export const f1 = (predictions: Float64Array, labels: Float64Array): Ratio => {
  let both = 0
  let predicted = 0
  let labelled = 0
  for (let i = 0; i < labels.length; i++) {
    if (predictions[i] === positiveClass) predicted++
    if (labels[i] === positiveClass) labelled++
    if (predictions[i] === positiveClass && labels[i] === positiveClass) both++
  }
  return predicted + labelled === 0
    ? { numerator: 0, denominator: 1 }
    : { numerator: 2 * both, denominator: predicted + labelled }
}
