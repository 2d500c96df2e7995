/** The layouts that checkpoints may have, by `model_type` in `config.json`. */
import { bert } from "./layouts/bert.ts"
import { distilbert } from "./layouts/distilbert.ts"
import { electra } from "./layouts/electra.ts"
import type { Layout } from "./layouts/layout.ts"
import { roberta } from "./layouts/roberta.ts"

export const layouts: ReadonlyMap<string, Layout> = new Map(
  [bert, roberta, electra, distilbert].map((layout) => [layout.modelType, layout]),
)
