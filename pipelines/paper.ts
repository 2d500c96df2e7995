/**
 * bun run pipeline paper.ts --plan
 * bun run pipeline paper.ts --precision bf16
 *
 * The study of "対照損失による追加学習が BERT のファインチューニングにもたらす効果" (NLP 2025): BERT-large as released
 * and after SimCSE with five dropout rates, fine-tuned on RTE at six learning rates with 30 seeds each; effective ranks
 * before fine-tuning (30 seeds) and during it, and trajectories. Gives figures 1 to 4 and tables 1 and 2.
 *
 * 1,080 runs of 468 steps and 5 × 15,625 steps of SimCSE take months on a processor, and on a GPU (backend cuda) many
 * hours, which have not been measured. So read the plan first, and run a part of it: `--set seeds=1..5 --set
 * lr=1e-5,2e-5 --set dropout=0.1`. Every setting of the study is a parameter; `--set
 * controls=mlm,no-dropout,fresh-pooler` adds control arms that the paper does not have.
 *
 * Weights, RTE, STS-B and the sentences come from the Hugging Face hub or, with `--set model=… --set glue=… --set sts=…
 * --set corpus=…`, from local folders and files.
 */
import { type } from "arktype"
import { pipeline } from "../core/api/pipeline.ts"
import { armsOf } from "./shared/arms.ts"
import { inputAround, modelIn, modelParameters } from "./shared/input.ts"
import { paperSettings, studyParameters, watchedBy } from "./shared/parameters.ts"
import { study, watchedOf } from "./shared/study.ts"
import { studySettings } from "./shared/study-settings.ts"

const released = "hf://google-bert/bert-large-uncased"

export default pipeline({
  name: "paper",
  summary: "BERT-large, SimCSE with five dropout rates, RTE, six learning rates, 30 seeds, all probes",
  parameters: type({
    "+": "reject",
    /** Model in the Hugging Face layout: a folder, or `hf://owner/name`. */
    model: `string > 0 = '${released}'`,
    /** Size of that model. */
    size: "'tiny' | 'mini' | 'small' | 'medium' | 'base' | 'large' = 'large'",
    ...modelParameters,
    /** GLUE's folder, or that of the task itself, or a data set on the hub. */
    glue: "string > 0 = 'hf://datasets/nyu-mll/glue'",
    /** Folder of STS-B, or a data set on the hub; its dev set selects among SimCSE's checkpoints. */
    sts: "string > 0 = 'hf://datasets/nyu-mll/glue'",
    /** Text for SimCSE, one sentence per line: a .txt or .gz file. */
    corpus: "string > 0 = 'hf://datasets/princeton-nlp/datasets-for-simcse/wiki1m_for_simcse.txt'",
    /** How many sentences of the corpus to use, from its start (unsaid by the paper). */
    sentences: "64 <= number.integer <= 100000000 = 1000000",
    /** Updates of SimCSE and of control arms; 0 for one epoch over the corpus (unsaid by the paper). */
    simcseSteps: "0 <= number.integer <= 100000000 = 0",
    ...studyParameters,
  }),
  build: (p) => {
    const input = inputAround({ ...p, vocabulary: `${p.model}/vocab.txt` }, () => ({
      vanilla: modelIn(p),
      model: p.model === released ? paperSettings.model : p.model,
    }))
    const arms = armsOf(p, input)
    const names = arms.map(({ name }) => name)
    const { report } = study({
      ...studySettings(p, input, arms),
      title: "Further training of BERT with a contrastive loss",
      watched: watchedBy(p, {
        arms: watchedOf(["vanilla", "SimCSE(0.1)"], names),
        lr: watchedOf([1e-5, 2e-5, 3e-5], p.lr),
        // All of them: what runs that fail have in common is told from the others of their cohort.
        seeds: p.seeds,
      }),
    })
    return { report }
  },
})
