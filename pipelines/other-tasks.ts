/**
 * bun run pipeline other-tasks.ts
 *
 * The study over tasks and models: vanilla and SimCSE, fine-tuned on pairs of sentences, on single ones and on scores,
 * from encoders of several sizes. Claims with verdicts for each task and each model: does SimCSE raise the ranks of the
 * Fisher before fine-tuning, raise the mean, lower the failures? Its effect on the rank has the same sign on every task
 * if all claims about it hold, or none does. Gives out/other-tasks/report/index.html.
 *
 * Takes 3 minutes on the toy language on 2 cores with the backend native. On real text and tasks of GLUE:
 * `--set glue=DIR --set corpus=FILE --set vocabulary=FILE --set tasks=rte,cola,sst2,stsb,wnli --set models=tiny,mini`;
 * with `--set model=DIR` and one of `models` as its size, a released model of any family in place of those from scratch.
 */
import { type } from "arktype"
import { cohort, grid, mapCohort, pipeline } from "../core/api/pipeline.ts"
import { InvalidInput } from "../core/io/decode.ts"
import { toyAcceptability } from "../plugins/data/toy-acceptability.ts"
import { toyStsb } from "../plugins/data/toy-stsb.ts"
import { regression } from "../plugins/finetune/regression.ts"
import { simcse } from "../plugins/pretrain/simcse.ts"
import { fisher } from "../plugins/probe/fisher.ts"
import { claimsPage } from "../plugins/report/claims.ts"
import { fewerFailures } from "../plugins/report/shared/claims/fewer-failures.ts"
import { higherMean } from "../plugins/report/shared/claims/higher-mean.ts"
import { observed } from "../plugins/report/shared/claims/observed.ts"
import { type InputParameters, inputOf, inputParameters, modelSize } from "./shared/input.ts"
import { learningRates, runSeeds, taskName } from "./shared/parameters.ts"
import { asItIs, perSeed, type StudyInput } from "./shared/study.ts"

const toyTask = "'entailment' | 'acceptability' | 'similarity'"
