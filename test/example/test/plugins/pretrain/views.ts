/** Two views of eight sentences, and what a loss gives for them, to be compared with float64. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { type Checkpoint, type Node, normal, stream, tf } from "kasosei"
import { type ContrastivePlugin, toyStudy, withArtifacts } from "kasosei/testing"

const count = 8
const hidden = 6
const valuesOf = (site: number, size: number) =>
  normal({ stream: stream(1, "views"), site, iteration: 0 }, size, 1)
const rowsOf = (values: Float32Array, width: number): number[][] =>
  Array.from({ length: values.length / width }, (_, n) => [...values.subarray(n * width, (n + 1) * width)])

const [first, second] = [valuesOf(0, count * hidden), valuesOf(1, count * hidden)]
export const views = [rowsOf(first, hidden), rowsOf(second, hidden)] as const
const projector = (features: number) => valuesOf(2, features * hidden)

/** The loss of the views; its parameters are a projector without a bias. */
export const lossOf = <S>({ options: schema, contrast }: ContrastivePlugin<S>, options: object): number =>
  tf.tidy(() => {
    const filled = schema({ steps: 1, ...options }) as never
    const shapes = contrast.parameters?.(hidden, filled) ?? {}
    const loss = contrast.loss(
      {
        first_NH: tf.tensor2d(first, [count, hidden]),
        second_NH: tf.tensor2d(second, [count, hidden]),
        indices_N: Int32Array.from({ length: count }, (_, n) => n),
        parameter: <T extends tf.Tensor>(name: string) => {
          const shape = [...shapes[name]!]
          const values = shape.length > 1 ? projector(shape[0]!) : new Float32Array(shape[0]!)
          return tf.tensor(values, shape) as T
        },
      },
      filled,
    )
    return loss.dataSync()[0]!
  })

/** Rows times the projector. */
export const projected = (rows: readonly number[][], features: number): number[][] =>
  rows.map((row) =>
    rowsOf(projector(features), hidden).map((weights) => row.reduce((sum, x, h) => sum + x * weights[h]!, 0)),
  )

/** The losses of a training, and the names of the tensors that it gives. */
export const trained = (
  plugin: (settings: {
    corpus: typeof toyStudy.corpus
    checkpoint: typeof toyStudy.checkpoint
  }) => Node<typeof Checkpoint>,
) =>
  withArtifacts(async (artifactOf) => {
    const { corpus, checkpoint } = toyStudy
    const { folder } = await artifactOf(plugin({ corpus, checkpoint }))
    const { loss } = JSON.parse(readFileSync(join(folder, "training.json"), "utf8"))
    const file = readFileSync(join(folder, "model.safetensors"))
    const header = file.subarray(8, 8 + Number(file.readBigUInt64LE(0))).toString()
    return { loss: loss as readonly number[], tensors: Object.keys(JSON.parse(header)) }
  })

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length
export const column = (rows: readonly number[][], p: number): number[] => rows.map((row) => row[p]!)
