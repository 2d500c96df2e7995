/** The fused kernels of the ops, on a device. */
import * as tf from "@tensorflow/tfjs-core"
import { borrowKernel, transferKernel } from "../../../core/tensor/borrow.ts"
import { digestsKernel } from "../../../core/tensor/digests.ts"
import { type Implementation, implement } from "../../../core/tensor/kernel.ts"
import { adamwKernel } from "../../../core/tensor/ops/adamw.ts"
import { attentionGradientKernel, attentionKernel } from "../../../core/tensor/ops/attention.ts"
import { dropoutGradientKernel, dropoutKernel } from "../../../core/tensor/ops/dropout.ts"
import { globalNormKernel } from "../../../core/tensor/ops/global-norm.ts"
import { infoNCEKernel } from "../../../core/tensor/ops/info-nce.ts"
import {
  layerNormInputGradientKernel,
  layerNormKernel,
  layerNormParameterGradientsKernel,
  residualNormInputGradientKernel,
  residualNormKernel,
} from "../../../core/tensor/ops/layer-norm.ts"
import {
  linearGeluKernel,
  linearInputGradientKernel,
  linearInputGradientTimesKernel,
  linearKernel,
  linearParameterGradientsKernel,
} from "../../../core/tensor/ops/linear.ts"
import { gatherRowsKernel, scatterAddRowsKernel } from "../../../core/tensor/ops/rows.ts"
import { softmaxCrossEntropyKernel } from "../../../core/tensor/ops/softmax-cross-entropy.ts"
import { tanhGradientKernel, tanhKernel } from "../../../core/tensor/ops/tanh.ts"
import type { Dropout } from "../../../core/tensor/stream.ts"
// The probe's own kernels: a backend may speed up what a plugin defines, so core need not contain the Fisher.
import { type Grams, gramsKernel } from "../../probe/shared/gram/grams.ts"
import { type DeviceBackend, type DeviceData, filled } from "./backend.ts"
import type { Device } from "./device.ts"

const noDropout = new Float64Array()
const allRows = new Int32Array()

/** In the form that `source/dropout.h` reads. */
const dropoutList = (dropout: Dropout | undefined): Float64Array =>
  dropout === undefined
    ? noDropout
    : Float64Array.of(
        dropout.rate,
        dropout.stream.seed,
        dropout.stream.nameHash,
        dropout.site,
        dropout.iteration,
      )

/** The distinct ids, ascending, and the index of each id among them. */
const distinct = (ids_N: Int32Array): { readonly ids: Int32Array; readonly slots: Int32Array } => {
  const sorted = ids_N.slice().sort()
  const ids = sorted.filter((id, n) => n === 0 || id !== sorted[n - 1])
  const slotOf = new Map(ids.entries().map(([slot, id]) => [id, slot]))
  return { ids, slots: ids_N.map((id) => slotOf.get(id)!) }
}

/** A tensor's data, unless its memory is gone. */
const dataIn = (backend: DeviceBackend, tensor: tf.Tensor): DeviceData | undefined => {
  try {
    return backend.dataOf(tensor)
  } catch {
    return undefined
  }
}

const digestsOn =
  (backend: DeviceBackend, digestsOf: NonNullable<Device["digests"]>) =>
  async (tensors: readonly tf.Tensor[]): Promise<readonly (bigint | undefined)[]> => {
    const handles = tensors.map((tensor) => dataIn(backend, tensor)?.handle)
    const live = handles.filter((handle) => handle !== undefined)
    const written = filled(backend.device, "float64", live.length, (written) =>
      digestsOf(Float64Array.from(live), written),
    )
    let bits: Float64Array
    try {
      bits = backend.device.readFloat64(written, live.length)
    } finally {
      backend.device.release(written)
    }
    const digests = new BigUint64Array(bits.buffer)
    let next = 0
    return handles.map((handle) => (handle === undefined ? undefined : digests[next++]))
  }

/** Gram matrices in a buffer of the device. */
const gramsOn = (backend: DeviceBackend, count: number, samples: number): Grams => {
  const { device } = backend
  const of = (tensor: tf.Tensor) => backend.floats(tensor)
  const size = count * samples ** 2
  const grams = device.allocate("float64", size)
  const others: (readonly [at: number, gram: Float64Array])[] = []
  return {
    linear: (at, { input_TI, outputGradient_TO, offsets }, method) => {
      const write = method === "token" ? device.gramByTokens : device.gramDirectly
      write(of(input_TI), of(outputGradient_TO), offsets, grams, at)
    },
    sums: (at, x_TD, offsets, factor_TD) => {
      if (factor_TD !== undefined) return device.gramOfSums(of(x_TD), of(factor_TD), offsets, grams, at)
      const none = device.allocate("float32", 0)
      try {
        device.gramOfSums(of(x_TD), none, offsets, grams, at)
      } finally {
        device.release(none)
      }
    },
    write: (at, gram) => {
      others.push([at, gram])
    },
    read: () => {
      const all = device.readFloat64(grams, size)
      for (const [at, gram] of others) all.set(gram, at * samples ** 2)
      return all
    },
    dispose: () => device.release(grams),
  }
}

/** An implementation of every kernel, except those that only definitions call. */
export const deviceKernels = (backend: DeviceBackend): readonly Implementation[] => {
  const { device } = backend
  const of = (tensor: tf.Tensor) => backend.floats(tensor)
  /** The tensors that the kernel which runs has made. */
  let made: tf.Tensor[] = []
  const allocate = <T extends tf.Tensor>(shape: readonly number[]): T => {
    const tensor = tf.engine().makeTensorFromTensorInfo(backend.allocate(shape), backend)
    made.push(tensor)
    return tensor as T
  }
  /** Disposes of what a kernel has made if it fails: the device may be out of memory, and then goes on. */
  const whole = ({ kernel, run }: Implementation): Implementation => ({
    kernel,
    run: (...given) => {
      made = []
      try {
        return run(...given)
      } catch (error) {
        tf.dispose(made)
        throw error
      } finally {
        made = []
      }
    },
  })
  const like = <T extends tf.Tensor>(tensor: T): T => allocate<T>(tensor.shape)

  const norm = (x_TH: tf.Tensor2D) => ({
    y_TH: like(x_TH),
    normalised_TH: like(x_TH),
    rstd_T: allocate<tf.Tensor1D>([x_TH.shape[0]]),
  })
  const drop = (x: tf.Tensor, dropout: Dropout, indices?: Int32Array) => {
    const y = like(x)
    device.dropout(of(x), of(y), dropoutList(dropout), indices ?? allRows)
    return y
  }
  /** A tensor to be written: itself or, if others share its data or it has only some rows, a copy for its place. */
  const unshared = <T extends tf.Tensor>(tensor: T): T => {
    if (backend.refCount(tensor.dataId) === 1 && backend.dataOf(tensor).sparse === undefined) return tensor
    const copy = tf.mul(tensor, 1) as T
    made.push(copy)
    return copy
  }
  /** The rows of a table in which a moment is not zero: a new buffer. */
  const activeRows = (m: tf.Tensor, v: tf.Tensor) =>
    filled(device, "bool", m.shape[0] ?? 0, (active) => device.markActiveRows(of(m), of(v), active))

  const kernels = [
    implement(linearKernel, (x_TI, weight_OI, bias_O) => {
      const y_TO = allocate<tf.Tensor2D>([x_TI.shape[0], weight_OI.shape[0]])
      device.linear(of(x_TI), of(weight_OI), of(bias_O), of(y_TO), backend.precision)
      return y_TO
    }),
    implement(linearGeluKernel, (x_TI, weight_OI, bias_O) => {
      const y_TO = allocate<tf.Tensor2D>([x_TI.shape[0], weight_OI.shape[0]])
      const derivative_TO = like(y_TO)
      device.linearGelu(of(x_TI), of(weight_OI), of(bias_O), of(y_TO), of(derivative_TO), backend.precision)
      return { y_TO, derivative_TO }
    }),
    implement(linearInputGradientKernel, (dy_TO, weight_OI, onto_TI) => {
      const tokens = dy_TO.shape[0]
      const add = onto_TI !== undefined
      const dx_TI = add ? unshared(onto_TI) : allocate<tf.Tensor2D>([tokens, weight_OI.shape[1]])
      device.linearInputGradient(of(dy_TO), of(weight_OI), of(dx_TI), tokens, add, backend.precision)
      return dx_TI
    }),
    implement(linearInputGradientTimesKernel, (dy_TO, weight_OI, factor_TI) => {
      const dx_TI = like(factor_TI)
      const tokens = dy_TO.shape[0]
      device.linearInputGradientTimes(
        of(dy_TO),
        of(weight_OI),
        of(factor_TI),
        of(dx_TI),
        tokens,
        backend.precision,
      )
      return dx_TI
    }),
    implement(linearParameterGradientsKernel, (dy_TO, x_TI) => {
      const [tokens, outputs] = dy_TO.shape
      const dWeight_OI = allocate<tf.Tensor2D>([outputs, x_TI.shape[1]])
      const dBias_O = allocate<tf.Tensor1D>([outputs])
      device.linearParameterGradients(
        of(dy_TO),
        of(x_TI),
        of(dWeight_OI),
        of(dBias_O),
        tokens,
        backend.precision,
      )
      return { dWeight_OI, dBias_O }
    }),
    implement(dropoutKernel, (x, dropout, indices) => ({ y: drop(x, dropout, indices), mask: undefined })),
    implement(dropoutGradientKernel, (dy, _mask, dropout, indices) => drop(dy, dropout, indices)),
    implement(tanhKernel, (x) => {
      const y = like(x)
      device.tanh(of(x), of(y))
      return y
    }),
    implement(tanhGradientKernel, (dy, y) => {
      const dx = like(y)
      device.tanhGradient(of(dy), of(y), of(dx))
      return dx
    }),
    implement(residualNormKernel, (x_TH, residual_TH, gamma_H, beta_H, epsilon, dropout, indices) => {
      const result = norm(x_TH)
      device.residualNorm(
        of(x_TH),
        of(residual_TH),
        of(gamma_H),
        of(beta_H),
        epsilon,
        dropoutList(dropout),
        indices ?? allRows,
        of(result.y_TH),
        of(result.normalised_TH),
        of(result.rstd_T),
      )
      return { ...result, mask: undefined }
    }),
    implement(layerNormKernel, (x_TH, gamma_H, beta_H, epsilon) => {
      const result = norm(x_TH)
      device.layerNorm(
        of(x_TH),
        of(gamma_H),
        of(beta_H),
        epsilon,
        of(result.y_TH),
        of(result.normalised_TH),
        of(result.rstd_T),
      )
      return result
    }),
    implement(layerNormInputGradientKernel, (dy_TH, normalised_TH, rstd_T, gamma_H) => {
      const dx_TH = like(dy_TH)
      device.layerNormInputGradient(of(dy_TH), of(normalised_TH), of(rstd_T), of(gamma_H), of(dx_TH))
      return dx_TH
    }),
    implement(
      residualNormInputGradientKernel,
      (dy_TH, normalised_TH, rstd_T, gamma_H, _mask, dropout, indices) => {
        const result = { dx_TH: like(dy_TH), dResidual_TH: like(dy_TH) }
        device.residualNormInputGradient(
          of(dy_TH),
          of(normalised_TH),
          of(rstd_T),
          of(gamma_H),
          dropoutList(dropout),
          indices ?? allRows,
          of(result.dx_TH),
          of(result.dResidual_TH),
        )
        return result
      },
    ),
    implement(layerNormParameterGradientsKernel, (dy_TH, normalised_TH) => {
      const hidden = dy_TH.shape[1]
      const result = { dGamma_H: allocate<tf.Tensor1D>([hidden]), dBeta_H: allocate<tf.Tensor1D>([hidden]) }
      device.layerNormParameterGradients(
        of(dy_TH),
        of(normalised_TH),
        of(result.dGamma_H),
        of(result.dBeta_H),
      )
      return result
    }),
    implement(gatherRowsKernel, (table_VH, ids_N) => {
      const rows_NH = allocate<tf.Tensor2D>([ids_N.length, table_VH.shape[1]])
      device.gatherRows(of(table_VH), ids_N, of(rows_NH))
      return rows_NH
    }),
    /** The result holds only its rows that are not zero until all of it is needed. */
    implement(scatterAddRowsKernel, (x_NH, ids_N, rows) => {
      const width = x_NH.shape[1]
      const { ids, slots } = distinct(ids_N)
      if (ids.length > 0 && (ids[0]! < 0 || ids.at(-1)! >= rows)) {
        throw new RangeError(
          `expected ids inside the table, found rows ${ids[0]} to ${ids.at(-1)} of a table of ${rows} rows`,
        )
      }
      const sums = filled(device, "float32", ids.length * width, (rows) =>
        device.sumIntoRows(of(x_NH), slots, rows),
      )
      const info = backend.allocateSparse([rows, width], { ids, rows: sums, width })
      return tf.engine().makeTensorFromTensorInfo(info, backend) as tf.Tensor2D
    }),
    implement(softmaxCrossEntropyKernel, (logits_NC, labels_N) => {
      const result = { loss: allocate<tf.Scalar>([]), dLogits_NC: like(logits_NC) }
      device.softmaxCrossEntropy(of(logits_NC), labels_N, of(result.loss), of(result.dLogits_NC))
      return result
    }),
    implement(infoNCEKernel, (z1_ND, z2_ND, temperature) => {
      const result = { loss: allocate<tf.Scalar>([]), dz1_ND: like(z1_ND), dz2_ND: like(z2_ND) }
      const rows = z1_ND.shape[0]
      device.infoNCE(
        of(z1_ND),
        of(z2_ND),
        temperature,
        rows,
        of(result.loss),
        of(result.dz1_ND),
        of(result.dz2_ND),
      )
      return result
    }),
    /** Saves two numbers for each row of probabilities, from which the gradient recomputes the row. */
    implement(attentionKernel, (q_RH, k_TH, v_TH, { heads, offsets, queryIndices }, dropout) => {
      const y_RH = like(q_RH)
      const statistics = allocate<tf.Tensor1D>([2 * heads * queryIndices.length])
      const list = dropoutList(dropout)
      device.attention(
        of(q_RH),
        of(k_TH),
        of(v_TH),
        heads,
        offsets,
        queryIndices,
        list,
        of(y_RH),
        of(statistics),
      )
      return { y_RH, saved: { probabilities: statistics, mask: undefined } }
    }),
    implement(
      attentionGradientKernel,
      (dy_RH, q_RH, k_TH, v_TH, saved, { heads, offsets, queryIndices }, dropout) => {
        const result = { dq_RH: like(q_RH), dk_TH: like(k_TH), dv_TH: like(v_TH) }
        device.attentionGradient(
          of(dy_RH),
          of(q_RH),
          of(k_TH),
          of(v_TH),
          of(saved.probabilities),
          heads,
          offsets,
          queryIndices,
          dropoutList(dropout),
          of(result.dq_RH),
          of(result.dk_TH),
          of(result.dv_TH),
        )
        return result
      },
    ),
    implement(globalNormKernel, (gradients, watched) => {
      const norm = allocate<tf.Scalar>([])
      const measured = gradients.flatMap((gradient) => {
        const { sparse } = backend.dataOf(gradient)
        if (sparse !== undefined) return [sparse.rows, sparse.width]
        return [of(gradient), gradient.rank < 2 ? gradient.size : gradient.size / gradient.shape[0]!]
      })
      device.globalNorm(Float64Array.from(measured), Float64Array.from(watched, of), of(norm))
      return norm
    }),
    implement(adamwKernel, (updates, { norm, largestNorm, beta1, beta2, epsilon }) => {
      const ids: number[] = []
      const list: number[] = []
      const results = updates.map(({ theta: given, gradient, m, v, stepSize, decay }) => {
        const theta = unshared(given)
        const moment = backend.dataOf(m)
        const { sparse } = backend.dataOf(gradient)
        if (sparse === undefined || decay !== 0) {
          // From now on other rows than the marked ones may have moments.
          moment.activeRows = undefined
          list.push(of(theta), of(gradient), of(m), of(v), -1, 0, 0, stepSize, decay)
        } else {
          moment.activeRows ??= activeRows(m, v)
          const { rows, ids: own } = sparse
          list.push(of(theta), rows, of(m), of(v), moment.activeRows, ids.length, own.length, stepSize, decay)
          for (const id of own) ids.push(id)
        }
        return { theta, m, v }
      })
      device.adamw(
        Float64Array.from(list),
        Int32Array.from(ids),
        of(norm),
        Float64Array.of(largestNorm, beta1, beta2, epsilon),
      )
      for (const [i, { theta }] of updates.entries()) if (results[i]!.theta !== theta) theta.dispose()
      return results
    }),
    implement(gramsKernel, (count, samples) => gramsOn(backend, count, samples)),
    implement(borrowKernel, (tensor) => backend.dataOf(tensor).borrow() as Float32Array),
    implement(transferKernel, (tensors) =>
      device.transfer?.(() => tensors.map((tensor) => ({ handle: of(tensor), size: tensor.size }))),
    ),
    ...(device.digests === undefined ? [] : [implement(digestsKernel, digestsOn(backend, device.digests))]),
  ]
  return kernels.map(whole)
}
