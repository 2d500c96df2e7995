/**
 * Gradients from what tfjs records on its tape. tfjs's own walk over a tape keeps all that it saved, and every gradient on
 * the way, until its end, and looks through all of `xs` at each input that depends on none of them: for a large model
 * that is twice the memory, and a tenth of the time in which the updates of a fast device are prepared.
 */
import * as tf from "@tensorflow/tfjs-core"

type TapeNode = ReturnType<typeof tf.engine>["state"]["activeTape"][number]

let takeFrom: (input: tf.Tensor) => tf.Tensor | undefined = () => undefined

/**
 * For an op whose backward pass runs: what has flowed into one of its inputs so far from the ops that came after it,
 * undefined if nothing has. Whoever takes it gives the sum with its own part as the gradient of that input (of the
 * first, if several are the same tensor), and may write it in its place.
 */
export const takeGradientSoFar = <T extends tf.Tensor>(input: T): T | undefined =>
  // A gradient has the shape of its input.
  takeFrom(input) as T | undefined

/** The inputs that depend on `xs` of each node from which y follows, last first. */
const pathFrom = (
  tape: readonly TapeNode[],
  xs: readonly tf.Tensor[],
  y: tf.Tensor,
): readonly (readonly [TapeNode, readonly string[]])[] => {
  const fromXs = new Set(xs.map(({ id }) => id))
  const dependent: (readonly [TapeNode, readonly string[]])[] = []
  for (const node of tape) {
    const inputs = Object.keys(node.inputs).filter((name) => fromXs.has(node.inputs[name]!.id))
    if (inputs.length === 0) continue
    dependent.push([node, inputs])
    for (const { id } of node.outputs) fromXs.add(id)
  }
  const toY = new Set([y.id])
  return dependent.reverse().filter(([node, inputs]) => {
    if (!node.outputs.some(({ id }) => toY.has(id))) return false
    for (const name of inputs) toY.add(node.inputs[name]!.id)
    return true
  })
}

const disposeSaved = ({ saved }: TapeNode): void => {
  for (const tensor of saved ?? []) tensor.dispose()
}

/** Walks a tape back from y, in a tidy of its own, and disposes of what it saved. */
const walk = (
  tape: readonly TapeNode[],
  xs: readonly tf.Tensor[],
  y: tf.Tensor,
  dy: tf.Tensor,
): (tf.Tensor | undefined)[] => {
  const path = pathFrom(tape, xs, y)
  const onPath = new Set(path.map(([node]) => node))
  for (const node of tape) if (!onPath.has(node)) disposeSaved(node)

  const wanted = new Set(xs.map(({ id }) => id))
  const ours = new Set<tf.Tensor>()
  const scope = tf.engine().state.activeScope.id
  /** A tensor that was made for this gradient alone: an op may give one that is somebody else's, or the same twice. */
  const owned = (gradient: tf.Tensor) => {
    const isNew = gradient.scopeId === scope && !gradient.kept && !ours.has(gradient)
    const own = isNew ? gradient : gradient.clone()
    ours.add(own)
    return own
  }
  const gradients = new Map([[y.id, owned(dy)]])
  const drop = (gradient: tf.Tensor) => {
    if (ours.delete(gradient)) gradient.dispose()
  }
  for (const [node, inputs] of path) {
    // tfjs takes null for the gradient of an output that y does not depend on.
    const dys = node.outputs.map(({ id }) => gradients.get(id) ?? (null as unknown as tf.Tensor))
    const taken = new Set<number>()
    const take = ({ id }: tf.Tensor) => {
      const before = taken.has(id) ? undefined : gradients.get(id)
      if (before !== undefined) taken.add(id)
      return before
    }
    const found = tf.tidy(() =>
      taking(take, () => {
        const gradientOf = node.gradient?.(dys)
        return inputs.map((name) => {
          const gradient = gradientOf?.[name]?.()
          if (gradient === undefined)
            throw new Error(`${node.kernelName || "an op"} has no gradient for its input ${name}`)
          return gradient
        })
      }),
    )
    for (const [i, name] of inputs.entries()) {
      const { id, shape } = node.inputs[name]!
      const before = gradients.get(id)
      const gradient = found[i] === before ? before! : owned(found[i]!)
      if (gradient.dtype !== "float32" || !tf.util.arraysEqual(gradient.shape, shape)) {
        throw new Error(
          `expected a gradient of shape [${shape}] for an input, found ${gradient.dtype} of shape [${gradient.shape}]`,
        )
      }
      if (before === undefined) gradients.set(id, gradient)
      else if (taken.delete(id)) {
        gradients.set(id, gradient)
        if (gradient !== before) drop(before)
      } else {
        const sum = owned(tf.add(before, gradient))
        gradients.set(id, sum)
        drop(before)
        drop(gradient)
      }
    }
    for (const { id } of node.outputs) {
      const gradient = gradients.get(id)
      if (gradient === undefined || wanted.has(id)) continue
      gradients.delete(id)
      drop(gradient)
    }
    disposeSaved(node)
  }
  return xs.map(({ id }) => gradients.get(id))
}

/**
 * What `y` computes, and its gradients with respect to tensors; undefined for one that it does not depend on. To be
 * called in a tidy: gradients belong to its scope. Within another's tape it is tfjs's own, which that tape records.
 *
 * @param outputGradient that which flows into y, in its shape; 1 by default
 */
export const differentiate = <Y extends tf.Tensor>(
  y: () => Y,
  xs: readonly tf.Tensor[],
  outputGradient?: tf.Tensor,
): { readonly value: Y; readonly gradients: readonly (tf.Tensor | undefined)[] } => {
  const { state } = tf.engine()
  if (state.gradientDepth > 0) {
    const { value, grads } = tf.engine().gradients(y, [...xs], outputGradient, true)
    return { value: value as Y, gradients: grads.map((gradient) => gradient ?? undefined) }
  }
  const tape: TapeNode[] = []
  try {
    const value = recorded(tape, y)
    const gradients = tf.tidy(() => walk(tape, xs, value, outputGradient ?? tf.ones(value.shape)))
    return { value, gradients }
  } catch (error) {
    for (const node of tape) disposeSaved(node)
    throw error
  }
}

const taking = <A>(take: typeof takeFrom, body: () => A): A => {
  const outer = takeFrom
  takeFrom = take
  try {
    return body()
  } finally {
    takeFrom = outer
  }
}

/** What `y` computes, recorded on a tape. */
const recorded = <Y extends tf.Tensor>(tape: TapeNode[], y: () => Y): Y => {
  const { state } = tf.engine()
  state.activeTape = tape
  state.gradientDepth++
  try {
    return tf.tidy(y)
  } finally {
    state.gradientDepth--
    state.activeTape = []
  }
}
