import { beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../../core/tensor/backend.ts"
import { attention } from "../../../../core/tensor/ops/attention.ts"
import { layerNorm } from "../../../../core/tensor/ops/layer-norm.ts"
import { linear } from "../../../../core/tensor/ops/linear.ts"
import { softmaxCrossEntropy } from "../../../../core/tensor/ops/softmax-cross-entropy.ts"
import { precisionNumbers } from "../../../../plugins/backend/device/device.ts"
import { native } from "../../../../plugins/backend/native.ts"
import { nativeBuilds } from "../../../core/tensor/every-definition.ts"
import { onEveryDevice, processors } from "./devices.ts"

onEveryDevice("the border of the addon", ({ device: deviceHere }) => {
  const none = new Int32Array()
  const noDropout = new Float64Array()
  const { fp32 } = precisionNumbers

  test("every kernel refuses buffers of the wrong size before it reads them", () => {
    const device = deviceHere()
    const [one, two] = [device.allocate("float32", 1), device.allocate("float32", 2)]
    const three = device.allocate("float32", 3)
    const marks = device.allocate("bool", 2)
    const offsets = Int32Array.of(0, 2)
    const grams = device.allocate("float64", 4)
    const settings = Float64Array.of(1, 0.9, 0.999, 1e-6)
    const denseUpdate = ({ gradient = two, m = two, v = two }) =>
      Float64Array.of(two, gradient, m, v, -1, 0, 0, 0.1, 0)
    const sparseUpdate = ({ gradient = one, active = marks, count = 1, decay = 0 }) =>
      Float64Array.of(two, gradient, two, two, active, 0, count, 0.1, decay)
    const before = Float32Array.of(3, 4)
    device.write(two, before)
    const calls: Readonly<Record<string, () => void>> = {
      matmul: () => device.matmul(two, two, two, 1, 2, 2, 2, false, false, fp32),
      "matmul in an unknown precision": () =>
        device.matmul(two, two, two, 1, 1, 1, 1, false, false, 3 as never),
      "matmul of a huge batch": () => device.matmul(two, two, two, 2 ** 40, 1, 1, 1, false, false, fp32),
      linear: () => device.linear(three, two, one, two, fp32),
      linearGelu: () => device.linearGelu(two, two, one, one, two, fp32),
      linearInputGradient: () => device.linearInputGradient(two, two, three, 2, false, fp32),
      linearInputGradientTimes: () => device.linearInputGradientTimes(two, one, three, two, 2, fp32),
      linearParameterGradients: () => device.linearParameterGradients(two, two, two, one, 3, fp32),
      add: () => device.add(three, two, three),
      subtract: () => device.subtract(two, two, three),
      multiply: () => device.multiply(two, three, two),
      dropout: () => device.dropout(two, three, noDropout, none),
      "dropout's list": () => device.dropout(two, two, Float64Array.of(0.1, 1), none),
      "dropout's rate": () => device.dropout(two, two, Float64Array.of(1, 0, 0, 0, 0), none),
      tanh: () => device.tanh(two, three),
      tanhGradient: () => device.tanhGradient(two, three, three),
      "tanhGradient's result": () => device.tanhGradient(two, two, three),
      transpose: () => device.transpose(three, three, 2),
      layerNorm: () => device.layerNorm(two, two, three, 1, two, two, one),
      residualNorm: () => device.residualNorm(two, three, two, two, 1, noDropout, none, two, two, one),
      layerNormInputGradient: () => device.layerNormInputGradient(two, two, two, two, two),
      residualNormInputGradient: () =>
        device.residualNormInputGradient(two, two, one, two, noDropout, none, two, three),
      "residualNormInputGradient's dropped part": () =>
        device.residualNormInputGradient(two, two, one, two, noDropout, none, three, two),
      "residualNormInputGradient's indices": () =>
        device.residualNormInputGradient(two, two, one, two, noDropout, Int32Array.of(0, 1), two, two),
      layerNormParameterGradients: () => device.layerNormParameterGradients(three, three, two, two),
      attention: () => device.attention(two, two, two, 1, offsets, Int32Array.of(0, 1), noDropout, two, two),
      "attention's query indices": () =>
        device.attention(two, two, two, 1, offsets, Int32Array.of(1, 0), noDropout, two, two),
      "attention's offsets": () =>
        device.attention(two, two, two, 1, Int32Array.of(0, 5, 2), Int32Array.of(0, 1), noDropout, two, two),
      attentionGradient: () =>
        device.attentionGradient(
          two,
          two,
          two,
          two,
          two,
          1,
          offsets,
          Int32Array.of(0, 1),
          noDropout,
          two,
          two,
          three,
        ),
      softmaxCrossEntropy: () => device.softmaxCrossEntropy(two, Int32Array.of(0), two, two),
      "softmaxCrossEntropy's labels": () => device.softmaxCrossEntropy(two, Int32Array.of(2), one, two),
      infoNCE: () => device.infoNCE(two, three, 1, 1, one, two, two),
      gatherRows: () => device.gatherRows(two, Int32Array.of(2), one),
      sumIntoRows: () => device.sumIntoRows(two, Int32Array.of(0, 3), two),
      spreadRows: () => device.spreadRows(two, Int32Array.of(-1), three),
      globalNorm: () => device.globalNorm(Float64Array.of(three, 2), new Float64Array(), one),
      "globalNorm's list": () => device.globalNorm(Float64Array.of(three), new Float64Array(), one),
      "globalNorm's handles": () => device.globalNorm(Float64Array.of(12345, 1), new Float64Array(), one),
      "globalNorm's watched numbers": () =>
        device.globalNorm(Float64Array.of(three, 1), Float64Array.of(one, two), one),
      "globalNorm's result": () => device.globalNorm(Float64Array.of(three, 1), new Float64Array(), two),
      adamw: () => device.adamw(denseUpdate({ gradient: three }), none, one, settings),
      "adamw's list": () => device.adamw(new Float64Array(8), none, one, settings),
      "adamw's moments": () => device.adamw(denseUpdate({ v: three }), none, one, settings),
      "adamw's settings": () => device.adamw(denseUpdate({}), none, one, new Float64Array(3)),
      "adamw's norm": () => device.adamw(denseUpdate({}), none, two, settings),
      "adamw's last parameter": () =>
        device.adamw(Float64Array.of(...denseUpdate({}), ...denseUpdate({ m: three })), none, one, settings),
      "adamw's rows": () => device.adamw(sparseUpdate({ gradient: two }), Int32Array.of(1), one, settings),
      "adamw's ids": () => device.adamw(sparseUpdate({}), Int32Array.of(2), one, settings),
      "adamw's number of ids": () =>
        device.adamw(sparseUpdate({ count: 2 }), Int32Array.of(1), one, settings),
      "adamw's order of ids": () =>
        device.adamw(sparseUpdate({ gradient: two, count: 2 }), Int32Array.of(1, 0), one, settings),
      "adamw's active rows": () =>
        device.adamw(sparseUpdate({ active: two }), Int32Array.of(1), one, settings),
      "adamw's decay": () => device.adamw(sparseUpdate({ decay: 0.1 }), Int32Array.of(1), one, settings),
      markActiveRows: () => device.markActiveRows(two, three, marks),
      "markActiveRows' marks": () => device.markActiveRows(two, two, three),
      gramByTokens: () => device.gramByTokens(two, three, offsets, grams, 0),
      gramDirectly: () => device.gramDirectly(two, two, offsets, two, 0),
      "gramDirectly's index": () => device.gramDirectly(two, two, offsets, grams, 4),
      "gramDirectly's matrices": () => device.gramDirectly(two, two, Int32Array.of(0, 1, 1, 2), grams, 0),
      gramOfSums: () => device.gramOfSums(two, three, offsets, grams, 0),
      ...(device.digests !== undefined && {
        digests: () => device.digests!(Float64Array.of(two, three), grams),
        "digests of marks": () => device.digests!(Float64Array.of(marks, two, two, two), grams),
        "digests of float64": () => device.digests!(Float64Array.of(grams, two, two, two), grams),
      }),
      write: () => device.write(two, new Float32Array(3)),
      "write of another type": () => device.write(two, new Int32Array(2)),
    }
    // Those that manage memory are tested below; `fill` takes a buffer of any size.
    const ofProcessor = "instructions offset region regionOf setThreads view"
    const ofGpu =
      "blasVersion borrow compile compilerVersion counts fillWindow find isFilled load openBlas setPrecision start startTransfer stop transfer window"
    const others = `allocate bytesInUse fill read readFloat64 release ${ofProcessor} ${ofGpu}`.split(" ")
    const kernels = Object.keys(device).filter((name) => !others.includes(name))
    expect(kernels.filter((name) => !(name in calls))).toEqual([])
    for (const [name, call] of Object.entries(calls)) {
      let thrown: unknown
      try {
        call()
      } catch (error) {
        thrown = error
      }
      // RangeError and TypeError come from this realm or from the addon's.
      expect({ name, thrown: thrown instanceof Error ? thrown.constructor.name : thrown }).toEqual({
        name,
        thrown: expect.stringMatching(/^(Type|Range)Error$/) as unknown as string,
      })
    }
    // Nothing was touched before all was checked.
    expect(device.read(two, "float32", 2)).toEqual(before)
    for (const handle of [one, two, three, marks, grams]) device.release(handle)
  })

  test("released handles, handles that were never allocated and values that are not handles are refused", () => {
    const device = deviceHere()
    const [live, gone] = [device.allocate("float32", 2), device.allocate("float32", 2)]
    device.release(gone)
    // Its slot in the table is reused, but the old handle stays invalid.
    const next = device.allocate("float32", 2)
    expect(next).not.toBe(gone)
    for (const handle of [gone, -1, 0.5, Number.NaN, 2 ** 53, 12345]) {
      expect(() => device.add(live, handle, live)).toThrow()
    }
    expect(() => device.release(gone)).toThrow("disposed of")
    expect(() => device.add(live, "x" as never, live)).toThrow("expected a number")
    expect(() => (device.add as (...args: unknown[]) => void)(live)).toThrow("expected 3 arguments, found 1")
    for (const handle of [live, next]) device.release(handle)
  })

  test("a tensor of another type is refused", () => {
    const device = deviceHere()
    const [floats, integers] = [device.allocate("float32", 2), device.allocate("int32", 2)]
    expect(() => device.add(floats, integers, floats)).toThrow("expected a tensor of another type")
    for (const handle of [floats, integers]) device.release(handle)
    tf.tidy(() => {
      expect(() => softmaxCrossEntropy(tf.zeros([1, 2], "int32"), Int32Array.of(0))).toThrow(
        "expected a float32 tensor, found int32",
      )
    })
  })

  test("ops of the wrong shapes, or on tensors that were disposed of, throw", () => {
    tf.tidy(() => {
      expect(() => linear(tf.ones([2, 3]), tf.ones([4, 5]), tf.ones([4]))).toThrow()
      expect(() => layerNorm(tf.ones([2, 3]), tf.ones([4]), tf.ones([3]), 1e-12)).toThrow()
      const gone = tf.ones<tf.Rank.R2>([2, 2])
      gone.dispose()
      expect(() => attention(gone, gone, gone, { heads: 1, offsets: Int32Array.of(0, 2) })).toThrow()
      expect(() => linear(gone, tf.ones([2, 2]), tf.ones([2]))).toThrow()
      expect(() => tf.add(gone, 1)).toThrow()
    })
  })
})

onEveryDevice("memory", ({ device: deviceHere }) => {
  test("is released when a tensor is disposed of, and tf.memory reports it", () => {
    const device = deviceHere()
    const [before, bytes] = [device.bytesInUse(), tf.memory().numBytes]
    // A new tensor may stay in host memory until a kernel of the device needs it.
    const x = tf.tidy(() => tf.add(tf.ones([1000]), 0))
    expect(device.bytesInUse() - before).toBe(4096)
    expect(tf.memory()).toMatchObject({ unreliable: false, numBytes: bytes + 4000 })
    const y = x.clone()
    x.dispose()
    expect([...y.dataSync()]).toEqual(new Array(1000).fill(1))
    expect(device.bytesInUse() - before).toBe(4096)
    y.dispose()
    expect(device.bytesInUse()).toBe(before)
  })

  test("values that were read survive the disposal of their tensor", () => {
    const x = tf.tensor1d([1, 2, 3])
    const values = x.dataSync()
    x.dispose()
    tf.tidy(() => tf.fill([3], 9))
    expect([...values]).toEqual([1, 2, 3])
  })
})

describe.skipIf(!nativeBuilds)("the processor's memory", () => {
  beforeAll(() => Effect.runPromise(startBackend(native)))

  test("is reused, whatever the sizes", () => {
    const { device } = processors[0]!
    const before = device.bytesInUse()
    const addresses = new Set<number>()
    for (let size = 1; size < 200_000; size += 1777) {
      const x = tf.ones([size])
      addresses.add((x.dataSync() as Float32Array).byteOffset)
      x.dispose()
    }
    expect(device.bytesInUse()).toBe(before)
    // 113 tensors, one after another; which hole is taken depends on what the process allocated before.
    expect(addresses.size).toBeLessThan(10)
  })
})
