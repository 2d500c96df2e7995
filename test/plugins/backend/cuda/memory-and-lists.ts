/**
 * Fills the memory of a small emulated GPU, and the ring through which lists go to it. Prints what
 * `memory-and-lists.test.ts` looks at.
 */
import { Effect } from "effect"
import { cudaAddon } from "../../../../plugins/backend/cuda/addon.ts"
import { loadKernels } from "../../../../plugins/backend/cuda/compile.ts"
import { gpuOf, loadCudaAddon } from "../../../../plugins/backend/cuda/device.ts"
import { addonPath } from "../../../../plugins/backend/device/build.ts"
import type { Handle } from "../../../../plugins/backend/device/device.ts"
import { noise } from "../../../core/tensor/against-float64.ts"
import { emulated, emulatedEnvironment } from "./emulated.ts"
import { Host } from "./emulator/host.ts"

if (emulated === undefined) throw new Error("there is no emulator here")
Object.assign(process.env, emulatedEnvironment())
const host = new Host(emulated)
const mebibyte = 1 << 20
// Eight are for lists.
host.control(`memory=${208 * mebibyte}`)
const addon = loadCudaAddon(await Effect.runPromise(addonPath(cudaAddon)))
addon.find(emulated.driver)
addon.start()
await loadKernels(addon, 90, 12_100)
const device = gpuOf(addon)

/** Its code, and its words. */
const messageOf = (body: () => void): string => {
  try {
    body()
    return "none"
  } catch (error) {
    return `${error instanceof Error && "code" in error ? error.code : ""} ${error}`
  }
}
const numbersIn = (mebibytes: number): number => (mebibytes * mebibyte) / 4
const equal = (found: ArrayLike<number>, expected: ArrayLike<number>): boolean =>
  found.length === expected.length && Array.prototype.every.call(found, (value, i) => value === expected[i])

const table = noise(1, 1000)
const some = device.allocate("float32", 1000)
device.write(some, table)

// Lists: through the ring several times over, while the device has done nothing yet; and longer than it takes.
const idsOf = (site: number, count: number): Int32Array =>
  Int32Array.from({ length: count }, (_, i) => (i * 7 + site * 131 + ((i * site) % 13)) % 1000)
const gathered = (site: number, count: number) => {
  const ids = idsOf(site, count)
  const rows = device.allocate("float32", count)
  device.gatherRows(some, ids, rows)
  const expected = Float32Array.from(ids, (id) => table[id]!)
  // The list is the caller's again.
  ids.fill(0)
  return { rows, expected }
}
const isRight = ({ rows, expected }: { readonly rows: Handle; readonly expected: Float32Array }): boolean => {
  const right = equal(device.read(rows, "float32", expected.length), expected)
  device.release(rows)
  return right
}
const inTheRing = Array.from({ length: 150 }, (_, site) => gathered(site, 30_000))
const long = [140_000, 524_288, 900_000].map((count) => gathered(3, count))
const lists = { inTheRing: inTheRing.map(isRight), long: long.map(isRight) }
const written = Array.from({ length: 40 }, (_, site) => {
  const values = noise(site, 100_000)
  const handle = device.allocate("float32", values.length)
  const copy = values.slice()
  device.write(handle, copy)
  copy.fill(0)
  return { rows: handle, expected: values }
})
const writes = written.map(isRight)
// Larger than the ring, whose parts it goes through by turns.
const longValues = noise(3, 2_600_000)
const longTensor = device.allocate("float32", longValues.length)
const bytesBefore = host.counts().bytes
const changing = longValues.slice()
device.write(longTensor, changing)
changing.fill(0)
const bytesAfter = host.counts().bytes
const longWrite = {
  /** Read by the driver from memory that is not pinned: when it does depends on the machine. */
  staged: bytesAfter.staged - bytesBefore.staged,
  sent: bytesAfter.toDevice - bytesBefore.toDevice,
  right: isRight({ rows: longTensor, expected: longValues }),
}
device.release(some)

// Memory: one region has all that was used so far. It is free, and given back for a larger tensor.
const used = device.bytesInUse()
const large = device.allocate("float32", numbersIn(150))
const before = host.counts().live.allocations
const refused = messageOf(() => device.allocate("float32", numbersIn(90)))
// 50 MiB are left, less than a region has by default.
const [samples, width] = [1500, 2]
const grams = device.allocate("float64", 2 * samples ** 2)
const more = messageOf(() => device.allocate("float32", numbersIn(20)))
const doubled = device.allocate("float32", 1000)
device.fill(large, 3)
device.fill(doubled, 0)
device.add(doubled, doubled, doubled)
// Sums of the products of 1500 samples take 18 MiB.
const x = device.allocate("float32", samples * width)
device.write(x, noise(5, samples * width))
const inUse = device.bytesInUse()
const offsets = Int32Array.from({ length: samples + 1 }, (_, n) => n)
const gram = messageOf(() => device.gramDirectly(x, x, offsets, grams, 0))
const leftByGram = device.bytesInUse() - inUse
// A kernel that fails is told by whatever is called next.
host.control("fail=1:700")
const faulty = messageOf(() => device.read(doubled, "float32", 1000))
host.control("fail=0")
// The large one is released while what was launched on it has not been done, and its memory is given back.
const sum = device.allocate("float32", 1)
device.fill(sum, 0)
const ones = device.allocate("float32", 1)
device.fill(ones, 1)
device.matmul(ones, ones, sum, 1, 1, 1, 1, false, false, 0)
device.release(large)
const another = device.allocate("float32", numbersIn(155))
const values = [device.read(sum, "float32", 1)[0], device.read(doubled, "float32", 1000)[999]]
for (const handle of [another, grams, doubled, x, sum, ones]) device.release(handle)
const atTheEnd = device.bytesInUse()
addon.stop()
const { live } = host.counts()

const report = {
  lists,
  writes,
  longWrite,
  used,
  before,
  refused,
  more,
  gram,
  leftByGram,
  faulty,
  values,
  atTheEnd,
  live,
}
export type Report = typeof report
console.log(JSON.stringify(report))
