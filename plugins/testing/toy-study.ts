/** A study of the toy language in miniature: an input of each kind for the plugins that are tested, made in a second. */
import { cohort, mapCohort } from "../../core/api/pipeline.ts"
import type { AnyPlugin, Cohort, Node } from "../../core/api/plugin.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { toyCorpus } from "../data/toy-corpus.ts"
import { toyEntailment } from "../data/toy-entailment.ts"
import { toySimilarity } from "../data/toy-similarity.ts"
import { toyVocabulary } from "../data/toy-vocabulary.ts"
import { classification } from "../finetune/classification.ts"
import { mlm } from "../pretrain/mlm.ts"
import { trajectory } from "../probe/trajectory.ts"

const vocabulary = toyVocabulary({})
const corpus = toyCorpus({ vocabulary, sentences: 96 })
const similarity = toySimilarity({ vocabulary, pairs: 12 })
const examples = toyEntailment({ vocabulary, train: 24, dev: 10 })
const size = { layers: 2, hidden: 8, heads: 2, intermediate: 16 }
const checkpoint = mlm({ corpus, vocabulary, size, positions: 64, steps: 3, batchSize: 16, lr: 1e-3 })

/** Fine-tunes for 6 updates. */
const run = (seed: number) =>
  classification({ data: examples, checkpoint, lr: 1e-3, seed, batchSize: 8, epochs: 2 })
const runs = cohort({ arm: "toy" }, [1, 2], run)
const trajectories = mapCohort(runs, (run) => trajectory({ run, steps: { at: [0], every: 3 } }))

/** Its nodes. The run has 6 updates; the cohorts, two seeds. */
export const toyStudy = {
  vocabulary,
  corpus,
  similarity,
  examples,
  checkpoint,
  run: run(1),
  runs,
  trajectories,
}

const byKind: Readonly<Record<string, Node>> = {
  vocabulary,
  corpus,
  similarity,
  examples,
  checkpoint,
  run: toyStudy.run,
}
const cohortsByKind: Readonly<Record<string, Cohort>> = { run: runs, observations: trajectories }

/**
 * The inputs of a plugin: those given, and nodes of the toy study by their kind in the place of the others. Optional
 * inputs that are not given are left out.
 *
 * @throws InvalidInput if the toy study has none of a kind
 */
export const inputsFor = (
  plugin: AnyPlugin,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> => {
  const inputs: Record<string, unknown> = { ...given }
  const problems: string[] = []
  const fill = (name: string, kind: string, toy: unknown) => {
    if (name in given) return
    if (toy === undefined) problems.push(`${name}: the toy study has no ${kind}; give inputs: { ${name}: … }`)
    else inputs[name] = toy
  }
  for (const [name, take] of Object.entries(plugin.takes)) {
    if ("optional" in take) continue
    if ("cohorts" in take) {
      const { name: kind } = take.cohorts
      const toy = cohortsByKind[kind]
      fill(name, `cohorts of ${kind}`, toy === undefined ? undefined : [toy])
    } else fill(name, take.name, byKind[take.name])
  }
  if (plugin.watches !== undefined) fill(plugin.watches, "run", toyStudy.run)
  if (problems.length > 0) throw new InvalidInput({ what: `the inputs of ${plugin.name}`, problems })
  return inputs
}
