/**
 * What a study begins with: a task, a corpus, and a BERT that was trained on it by masked-language modelling. Either
 * the embedded toy language, or real text and a task of GLUE. A pipeline that runs on both spreads `inputParameters`
 * among its own and begins with `inputOf(p)`.
 */
import { type } from "arktype"
import type { Node } from "../../core/api/plugin.ts"
import type { Checkpoint } from "../../core/artifacts/checkpoint.ts"
import type { Corpus } from "../../core/artifacts/corpus.ts"
import type { Examples } from "../../core/artifacts/examples.ts"
import type { Similarity } from "../../core/artifacts/similarity.ts"
import type { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { optionProblems } from "../../core/io/options.ts"
import { sentences } from "../../plugins/data/sentences.ts"
import { sts } from "../../plugins/data/sts.ts"
import { toyCorpus } from "../../plugins/data/toy-corpus.ts"
import { toyEntailment } from "../../plugins/data/toy-entailment.ts"
import { toySimilarity } from "../../plugins/data/toy-similarity.ts"
import { toyVocabulary } from "../../plugins/data/toy-vocabulary.ts"
import { vocabulary } from "../../plugins/data/vocabulary.ts"
import { classification } from "../../plugins/finetune/classification.ts"
import { mlm } from "../../plugins/pretrain/mlm.ts"
import { pretrained } from "../../plugins/pretrain/pretrained.ts"
import { simcseParameters, taskName, taskParameters } from "./parameters.ts"
import type { FineTune } from "./study.ts"
import { taskOf } from "./tasks.ts"

/** What a study begins with. */
export interface StudyInput {
  /** The model and its task in the words of a title: `BERT-tiny on RTE`. */
  readonly title: string
  /** The model in words: how it was trained, or where it is from. */
  readonly model: string
  /** The name of the task. */
  readonly task: string
  /** What was made from what, by name. */
  readonly provenance: Readonly<Record<string, string>>
  readonly data: Node<typeof Examples>
  readonly vocabulary: Node<typeof Vocabulary>
  /** Single sentences for further training. */
  readonly corpus: Node<typeof Corpus>
  /** Pairs of sentences by which further training may choose its best checkpoint. */
  readonly dev: Node<typeof Similarity> | undefined
  /** The model before any further training, whose pooler is trained. */
  readonly vanilla: Node<typeof Checkpoint>
  /** What every method of further training takes: `simcse({ ...input.further(42), dropout: 0.1 })`. */
  readonly further: (seed: number) => FurtherTraining
  /** Fine-tuning as the task's labels need it, by classes or scores. */
  readonly fineTune: FineTune
  /** Learning rates of fine-tuning at which such a model learns the task: without failures, and with some. */
  readonly lr: readonly [number, number]
}

export interface FurtherTraining {
  readonly corpus: Node<typeof Corpus>
  readonly checkpoint: Node<typeof Checkpoint>
  readonly dev: Node<typeof Similarity> | undefined
  readonly lr: number
  readonly batchSize: number
  readonly evalEvery: number
  readonly selection: "best" | "last"
  readonly steps?: number
  readonly seed: number
}

/** A number of updates. */
const updates = "1 <= number.integer <= 100000000"
const { simcseBatch, evalEvery, selection } = simcseParameters
const furtherParameters = { simcseBatch, evalEvery, selection } as const

export const toyParameters = {
  /** Layers of the encoder. */
  layers: "1 <= number.integer <= 1024 = 2",
  /** Hidden size of the encoder; its feed-forward networks are four times as wide. */
  hidden: type("4 <= number % 4 <= 65536")
    .describe("a multiple of 4, the number of heads, from 4 to 65536")
    .default(64),
  /** Sentences in each of the two corpora, one for masked-language modelling and one for further training. */
  sentences: "64 <= number.integer <= 10000000 = 100000",
  /** Updates of masked-language modelling. */
  mlmSteps: `${updates} = 1500`,
  /** Pairs of sentences per update of masked-language modelling. */
  mlmBatch: "2 <= number.integer <= 65536 = 64",
  /** Peak learning rate of masked-language modelling. */
  mlmLr: "0 < number < 1 = 0.002",
  /** Dropout rate of masked-language modelling; fine-tuning has the same by default. */
  mlmDropout: "0 <= number < 1 = 0.1",
  ...furtherParameters,
  /** Updates of SimCSE and of control arms. */
  simcseSteps: `${updates} = 200`,
  /** Peak learning rate of SimCSE and of control arms. */
  simcseLr: "0 < number < 1 = 0.0003",
  /** Updates of SimCSE between two evaluations on pairs of similar sentences. */
  evalEvery: "number.integer >= 1 = 50",
  /** Which checkpoint of further training is fine-tuned; the last one has had as many updates as a control arm's. */
  selection: "'best' | 'last' = 'last'",
  /** How many entailment pairs to fine-tune on. */
  train: "16 <= number.integer <= 10000000 = 1245",
  /** How many entailment pairs to measure accuracy on. */
  dev: "2 <= number.integer <= 10000000 = 554",
} as const

const ToyParameters = type({ "+": "reject", ...toyParameters })
export type ToyParameters = typeof ToyParameters.infer

/** The embedded toy language, and a small BERT that learned its words and which of its sentences belong together. */
export const toyInput = (p: ToyParameters): StudyInput => {
  const words = toyVocabulary({})
  const data = toyEntailment({ train: p.train, dev: p.dev, vocabulary: words })
  const corpus = toyCorpus({ sentences: p.sentences, vocabulary: words })
  const dev = toySimilarity({ vocabulary: words })
  const vanilla = mlm({
    corpus: toyCorpus({ sentences: p.sentences, restated: true, vocabulary: words }),
    vocabulary: words,
    size: { layers: p.layers, hidden: p.hidden, heads: 4, intermediate: 4 * p.hidden },
    positions: 64,
    steps: p.mlmSteps,
    batchSize: p.mlmBatch,
    lr: p.mlmLr,
    warmupRatio: 0.1,
    dropout: p.mlmDropout,
    nextSentence: true,
  })
  const model = `BERT of ${p.layers} layers, hidden size ${p.hidden}, ${p.mlmSteps} steps of masked-language modelling and next-sentence prediction`
  return {
    title: "a small BERT on a toy language",
    model,
    task: "toy entailment",
    provenance: { model, data: "the embedded toy language" },
    data,
    vocabulary: words,
    corpus,
    dev,
    vanilla,
    further: furtherOf(p, { corpus, dev, checkpoint: vanilla }),
    fineTune: classification,
    lr: [3e-4, 1e-3],
  }
}

/** The size of an encoder, by the name of a published model. */
export const modelSize = "'tiny' | 'mini' | 'small' | 'medium' | 'base' | 'large'"

/** What a model that is not trained here has. */
export const modelParameters = {
  /** Longest sequence of `model`, in tokens. */
  positions: "2 <= number.integer <= 65536 = 512",
  /** Size of the vocabulary of `model`. */
  vocabularySize: "1 <= number.integer <= 4194304 = 30522",
} as const

export const realParameters = {
  /** GLUE's folder, or that of the task itself, or `hf://datasets/owner/name`. */
  glue: "string > 0",
  /** Text to train on, one sentence per line: a .txt or .gz file. */
  corpus: "string > 0",
  /** BERT's vocab.txt or tokenizer.json. */
  vocabulary: "string > 0",
  /** Folder of STS-B, whose dev set selects among SimCSE's checkpoints; by default the last one is kept. */
  "sts?": "string > 0",
  ...taskParameters,
  /** Size of the encoder. */
  size: `${modelSize} = 'tiny'`,
  /** Folder of a model of this size, or `hf://owner/name`, to use in place of one that is trained from scratch. */
  "model?": "string > 0",
  ...modelParameters,
  /** How many sentences of the corpus to use, from its start. */
  sentences: "64 <= number.integer <= 100000000 = 20000",
  /** Updates of masked-language modelling. */
  mlmSteps: `${updates} = 2000`,
  /** Sentences per update of masked-language modelling. */
  mlmBatch: "2 <= number.integer <= 65536 = 64",
  /** Peak learning rate of masked-language modelling. */
  mlmLr: "0 < number < 1 = 0.0005",
  /** Dropout rate of masked-language modelling; fine-tuning has the same by default. */
  mlmDropout: "0 <= number < 1 = 0.1",
  ...furtherParameters,
  /** Updates of SimCSE and of control arms; 0 for one epoch over the corpus. */
  simcseSteps: "0 <= number.integer <= 100000000 = 300",
  /** Peak learning rate of SimCSE and of control arms. */
  simcseLr: "0 < number < 1 = 0.0001",
} as const

const RealParameters = type({ "+": "reject", ...realParameters })
export type RealParameters = typeof RealParameters.infer

/** A task of GLUE and text, and `model` or a BERT that learned words and halves of sentences from the text. */
export const realInput = (p: RealParameters): StudyInput =>
  inputAround(p, ({ vocabulary, corpus }) =>
    p.model === undefined
      ? {
          vanilla: mlm({
            corpus,
            vocabulary,
            size: p.size,
            // Halves of a sentence have one token more than the sentence.
            positions: Math.max(corpusLength + 1, p.maxLength),
            steps: p.mlmSteps,
            batchSize: p.mlmBatch,
            lr: p.mlmLr,
            dropout: p.mlmDropout,
            nextSentence: true,
          }),
          model: `BERT-${p.size}, ${p.mlmSteps} steps of masked-language modelling and next-sentence prediction`,
        }
      : { vanilla: modelIn({ ...p, model: p.model }), model: p.model },
  )

/** Maximum tokens per sentence of a corpus, as in SimCSE. */
const corpusLength = 32

/** A released model, or one that was trained before. */
export const modelIn = (
  p: Pick<RealParameters, "size" | "positions" | "vocabularySize"> & { readonly model: string },
): Node<typeof Checkpoint> =>
  pretrained({ source: p.model, size: p.size, positions: p.positions, vocabularySize: p.vocabularySize })

type TaskAndText = Omit<
  RealParameters,
  "mlmSteps" | "mlmBatch" | "mlmLr" | "mlmDropout" | "model" | "positions" | "vocabularySize"
>

/** A task of GLUE and text, and any model for them. */
export const inputAround = (
  p: TaskAndText,
  modelOf: (of: Pick<StudyInput, "vocabulary" | "corpus">) => {
    readonly vanilla: Node<typeof Checkpoint>
    readonly model: string
  },
): StudyInput => {
  const { title, data: task, fineTune } = taskOf(p.task)
  const words = vocabulary({ source: p.vocabulary })
  const corpus = sentences({
    source: p.corpus,
    limit: p.sentences,
    maxLength: corpusLength,
    vocabulary: words,
  })
  const cut = p.trainExamples === undefined ? {} : { trainExamples: p.trainExamples }
  const dev =
    p.sts === undefined ? undefined : sts({ benchmark: "STS-B/dev", source: p.sts, vocabulary: words })
  const { vanilla, model } = modelOf({ vocabulary: words, corpus })
  return {
    title: `BERT-${p.size} on ${title}`,
    model,
    task: p.task,
    provenance: {
      model,
      data: `${title}${p.trainExamples === undefined ? "" : ` cut to ${p.trainExamples} training examples`}, at most ${p.maxLength} tokens`,
      corpus: p.corpus,
    },
    data: task({ source: p.glue, maxLength: p.maxLength, ...cut, vocabulary: words }),
    vocabulary: words,
    corpus,
    dev,
    vanilla,
    further: furtherOf(p, { corpus, dev, checkpoint: vanilla }),
    fineTune,
    lr: [5e-5, 2e-4],
  }
}

const furtherOf =
  (
    p: Pick<RealParameters, "simcseLr" | "simcseBatch" | "evalEvery" | "selection" | "simcseSteps">,
    inputs: Pick<FurtherTraining, "corpus" | "dev" | "checkpoint">,
  ): StudyInput["further"] =>
  (seed) => ({
    ...inputs,
    lr: p.simcseLr,
    batchSize: p.simcseBatch,
    evalEvery: p.evalEvery,
    selection: p.selection,
    ...(p.simcseSteps === 0 ? {} : { steps: p.simcseSteps }),
    seed,
  })

/**
 * The parameters of a pipeline that runs on the toy language or, with `glue`, `corpus` and `vocabulary`, on a task of
 * GLUE; what is left out has the default of either.
 */
export const inputParameters = {
  /** GLUE's folder, or that of the task itself, or `hf://datasets/owner/name`; without it, the toy language. */
  "glue?": "string > 0",
  /** Text to train on, one sentence per line: a .txt or .gz file. */
  "corpus?": "string > 0",
  /** BERT's vocab.txt or tokenizer.json. */
  "vocabulary?": "string > 0",
  /** Folder of STS-B, whose dev set selects among the checkpoints of further training. */
  "sts?": "string > 0",
  /** Task of GLUE to fine-tune on, by default rte. */
  "task?": taskName,
  /** How many training examples of the task to keep, all by default. */
  "trainExamples?": "1 <= number.integer <= 10000000",
  /** Maximum tokens per example of the task, by default 128. */
  "maxLength?": "5 <= number.integer <= 512",
  /** Size of the encoder for real text, by default tiny. */
  "size?": modelSize,
  /** Folder of a model of this size, or `hf://owner/name`, to use in place of one that is trained from scratch. */
  "model?": "string > 0",
  /** Longest sequence of `model`, in tokens, by default 512. */
  "positions?": "2 <= number.integer <= 65536",
  /** Size of the vocabulary of `model`, by default 30522. */
  "vocabularySize?": "1 <= number.integer <= 4194304",
  /** Layers of the encoder for the toy language, by default 2. */
  "layers?": "1 <= number.integer <= 1024",
  /** Hidden size of the encoder for the toy language, by default 64. */
  "hidden?": "4 <= number % 4 <= 65536",
  /** How many pairs of the toy language to fine-tune on, by default 1245. */
  "train?": "16 <= number.integer <= 10000000",
  /** How many pairs of the toy language to measure accuracy on, by default 554. */
  "dev?": "2 <= number.integer <= 10000000",
  /** How many sentences to train on, by default 100000 of the toy language and 20000 of real text. */
  "sentences?": "64 <= number.integer <= 10000000",
  /** Updates of masked-language modelling, by default 1500 on the toy language and 2000 on real text. */
  "mlmSteps?": updates,
  /** Sentences per update of masked-language modelling, by default 64. */
  "mlmBatch?": "2 <= number.integer <= 65536",
  /** Peak learning rate of masked-language modelling, by default 2e-3 on the toy language and 5e-4 on real text. */
  "mlmLr?": "0 < number < 1",
  /** Updates of further training, by default 200 on the toy language and 300 on real text. */
  "simcseSteps?": updates,
  /** Sentences per update of further training, by default 64. */
  "simcseBatch?": "2 <= number.integer <= 65536",
  /** Peak learning rate of further training, by default 3e-4 on the toy language and 1e-4 on real text. */
  "simcseLr?": "0 < number < 1",
} as const

const InputParameters = type({ "+": "reject", ...inputParameters })
export type InputParameters = typeof InputParameters.infer

/**
 * The input that a pipeline's parameters ask for, those of `inputParameters` among them.
 *
 * @throws InvalidInput if one of them does not fit the input
 */
export const inputOf = (p: InputParameters): StudyInput => {
  const names = InputParameters.props.map(({ key }) => String(key))
  const given = Object.fromEntries(
    Object.entries(p).filter(([name, value]) => names.includes(name) && value !== undefined),
  )
  const [input, schema, what] =
    p.glue === undefined
      ? ([toyInput, ToyParameters, "parameters of the toy language, since there is no glue"] as const)
      : ([realInput, RealParameters, "parameters of real input, since there is glue"] as const)
  const settings: unknown = schema(given)
  if (settings instanceof type.errors) {
    throw new InvalidInput({ what, problems: optionProblems(schema, settings) })
  }
  return input(settings as ToyParameters & RealParameters)
}
