import { emulated } from "./emulated.ts"
import { Host } from "./emulator/host.ts"

const host = emulated && new Host(emulated)

/** What `compute` gives when the emulated GPU's threads, warps and blocks run in order, and in reverse. */
export const inBothOrders = <A>(compute: () => A): readonly [forward: A, reverse: A] => {
  const inOrder = (order: string): A => {
    host!.control(`order=${order}`)
    return compute()
  }
  try {
    return [inOrder("forward"), inOrder("reverse")]
  } finally {
    host!.control("order=forward")
  }
}

/** How often `body` launches each kernel of the emulated GPU. */
export const launchesOf = (body: () => void): Readonly<Record<string, number>> => {
  host!.control("reset=1")
  body()
  return host!.counts().launches
}
