import { Effect } from "effect"
import type { AnyPlugin } from "../../../core/api/plugin.ts"
import type { Row } from "../../../core/artifacts/observations.ts"
import { completed, fineTuning, type Setting } from "../finetune/running.ts"

/** What is asked of a probe. */
export interface Asked {
  readonly options?: Readonly<Record<string, unknown>>
  /** What it takes besides the run. */
  readonly inputs?: Readonly<Record<string, unknown>>
}

/** A probe as an observer of a run, under its own name. */
export const watcher = (probe: AnyPlugin, { options = {}, inputs = {} }: Asked = {}) => ({
  key: probe.name,
  options: completed(probe, options),
  inputs,
  probe: probe.probe!,
  gives: probe.gives as never,
})

/** What a probe gives of a run that only it needs: rows, or why it failed. */
export const watched = async (probe: AnyPlugin, asked: Asked, setting: Setting) => {
  const { observers = [], ...rest } = setting
  const { rows } = await Effect.runPromise(
    fineTuning({ wanted: false, ...rest, observers: [watcher(probe, asked), ...observers] }),
  )
  return rows.get(probe.name)!
}

/** Its rows. */
export const rowsOf = async <R extends Row>(
  probe: AnyPlugin,
  asked: Asked,
  setting: Setting,
): Promise<readonly R[]> => {
  const found = await watched(probe, asked, setting)
  if (!Array.isArray(found)) throw found
  return found as readonly R[]
}
