/**
 * The numbers printed in Takenaka and Taki 2025, "対照損失による追加学習が BERT のファインチューニングにもたらす効果"
 * (NLP 2025): BERT-large on RTE, 30 runs for each model and learning rate.
 */
export const paperFigures = {
  /** Accuracy in per cent of always predicting the majority of RTE: 146 of 277. */
  baseline: (100 * 146) / 277,
  /** Table 1: accuracy in per cent; `deviation` is S, with ddof 0; `failures` are runs no better than the majority. */
  stability: [
    { arm: "vanilla", lr: 1e-5, runs: 30, deviation: 9.6, mean: 64.6, max: 74, failures: 7 },
    { arm: "SimCSE(0.1)", lr: 1e-5, runs: 30, deviation: 2.2, mean: 70.8, max: 74, failures: 0 },
    { arm: "vanilla", lr: 2e-5, runs: 30, deviation: 3.2, mean: 50.5, max: 56.7, failures: 25 },
    { arm: "SimCSE(0.1)", lr: 2e-5, runs: 30, deviation: 9.5, mean: 58.3, max: 72.9, failures: 14 },
  ],
  /** Table 2: normalised effective ranks before fine-tuning, summed over the 24 layers; means of 30 seeds. */
  ranks: [
    { arm: "vanilla", layers: 24, sum: 20.06 },
    { arm: "SimCSE(0.05)", layers: 24, sum: 23.2 },
    { arm: "SimCSE(0.1)", layers: 24, sum: 23.43 },
    { arm: "SimCSE(0.3)", layers: 24, sum: 23.39 },
    { arm: "SimCSE(0.4)", layers: 24, sum: 21.23 },
    { arm: "SimCSE(0.5)", layers: 24, sum: 8.17 },
  ],
} as const
