/**
 * The five stages of a study, in the order in which they depend on each other.
 *
 * | stage    | takes                                          | gives                                        |
 * |----------|------------------------------------------------|----------------------------------------------|
 * | data     | files, local or on the hub                     | tokenised text with its splits and labels    |
 * | pretrain | data, and optionally a checkpoint              | a checkpoint, or scores of one               |
 * | finetune | data, a checkpoint, a seed                     | a run: metrics by update, predictions        |
 * | probe    | a run that it watches, or observations of one  | observations: typed rows                     |
 * | report   | anything above                                 | tables, figures, a page                      |
 */
export const stages = ["data", "pretrain", "finetune", "probe", "report"] as const

export type Stage = (typeof stages)[number]
