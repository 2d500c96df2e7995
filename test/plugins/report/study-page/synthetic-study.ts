import { normal, stream, uniform } from "../../../../core/tensor/stream.ts"
import { isFailed, type RunRecord, type Study } from "../../../../plugins/report/study-page/study.ts"

const ARMS = ["vanilla", "SimCSE(0.05)", "SimCSE(0.1)", "SimCSE(0.3)", "SimCSE(0.4)", "SimCSE(0.5)"]
const LEARNING_RATES = [5e-6, 1e-5, 1.5e-5, 2e-5, 2.5e-5, 3e-5]
const STEPS = [1, 2, 3, 4, 47, 94, 141, 188, 235, 282, 329, 376, 423, 468]
const source = stream(1, "synthetic")

/** Synthetic numbers of the paper's size, in which arms fail more often as the learning rate grows. */
export const syntheticStudy = ({
  arms = ARMS,
  learningRates = LEARNING_RATES,
  seeds = 30,
  layers = 24,
  n = 16,
  probed = 1,
} = {}): Study => {
  let site = 0
  const noise = (count: number) => normal({ stream: source, site: site++, iteration: 0 }, count)
  const chance = (count: number) => uniform({ stream: source, site: site++, iteration: 0 }, count)
  const range = (count: number) => Array.from({ length: count }, (_, i) => i + 1)
  const everyLayer = Array.from({ length: layers }, (_, layer) => layer)
  const cells = arms.flatMap((arm, a) => learningRates.map((lr) => ({ arm, lr, a })))

  const runs: RunRecord[] = cells.flatMap(({ arm, lr, a }) => {
    const [failing, better] = [chance(seeds), noise(seeds)]
    return range(seeds).map((seed) => {
      const failure = failing[seed - 1]! < Math.max(0, (lr - (a === 0 || a === 5 ? 6e-6 : 1.2e-5)) / 2.2e-5)
      const good = Math.round(277 * (0.7 - 0.01 * Math.abs(a - 2) + 0.02 * better[seed - 1]!))
      const bad = better[seed - 1]! > 0 ? 146 : 131
      return {
        arm,
        checkpoint: null,
        lr,
        seed,
        status: "done",
        metric: "accuracy",
        value: { numerator: failure ? bad : good, denominator: 277 },
        baseline: { numerator: 146, denominator: 277 },
        finalLoss: failure ? 0.69 : 0.02,
      }
    })
  })

  const rank = (arm: string, seed: number, layer: number, level: number) => {
    const erank = Math.max(1, Math.min(n, Math.round(n * level + 0.6 * noise(1)[0]!)))
    const eigenvalues = range(n).map((i) => 2 ** (-i * (1.2 - level)))
    return { arm, checkpoint: null, seed, layer, n, erank, normalised: erank / n, eigenvalues }
  }
  const level = (a: number, layer: number) =>
    a === 5
      ? 0.2 + 0.3 * ((layer + 1) / layers)
      : a === 0
        ? 0.95 - 0.3 * ((layer + 1) / layers) ** 2
        : 0.98 - 0.02 * a

  const watched = runs.filter(({ seed }) => seed <= probed)
  return {
    title: "Further training and fine-tuning of BERT-large on RTE (synthetic)",
    facts: { model: "none: synthetic <numbers>" },
    settings: [],
    paper: { stability: [], ranks: [] },
    claims: { judged: [], limits: [], confounded: [] },
    training: [],
    runs,
    arms,
    before: arms.flatMap((arm, a) =>
      range(seeds).flatMap((seed) => everyLayer.map((layer) => rank(arm, seed, layer, level(a, layer)))),
    ),
    during: watched.flatMap((run) =>
      STEPS.flatMap((step, s) =>
        everyLayer.map((layer) => ({
          ...rank(
            run.arm,
            run.seed,
            layer,
            level(arms.indexOf(run.arm), layer) * (isFailed(run) ? 1 - s / 15 : 1 - s / 60),
          ),
          lr: run.lr,
          step,
        })),
      ),
    ),
    trajectory: watched.flatMap((run) => {
      const wobble = noise(STEPS.length)
      return STEPS.filter((step) => step === 1 || step >= 47).map((step, s, steps) => {
        const part = s / (steps.length - 1)
        const angle =
          step === 1 ? 0 : Math.max(0, (isFailed(run) ? 1.5 : 1.1) * part ** 0.6 + 0.05 * wobble[s]!)
        const r = step === 1 ? 1 : isFailed(run) ? (1 - part) ** 0.4 * (1 + 0.6 * part) : (1 - part) ** 0.6
        const loss = isFailed(run) ? 0.69 + 0.03 * wobble[s]! : 0.7 * Math.exp(-5 * part)
        return {
          arm: run.arm,
          checkpoint: null,
          lr: run.lr,
          seed: run.seed,
          step,
          r,
          phi: part === 1 ? null : angle,
          loss,
        }
      })
    }),
  }
}
