/** What several pipelines make claims about, with its name in words. */

/** The normalised effective ranks of the layers before the first update, layer by layer. */
export const rankBefore = {
  column: "normalised",
  by: "layer",
  where: { step: 0 },
  called: "normalised effective rank before fine-tuning",
} as const

/** The same after the last update. */
export const rankAfter = {
  ...rankBefore,
  where: { step: "last" },
  called: "normalised effective rank after fine-tuning",
} as const
