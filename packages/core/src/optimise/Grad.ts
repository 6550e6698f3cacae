/** A loss and its gradients by path. */
import * as tf from "@tensorflow/tfjs-core"
import * as Flat from "../Flat.ts"
import "./KernelGradients.ts"

type Tensors = Flat.Flat<tf.Tensor>

/** A scalar loss, and further tensors to return with it (parts of the loss, generated images). */
export interface Loss {
  readonly loss: tf.Tensor
  readonly also?: Tensors
}

export interface ValueAndGrads {
  readonly loss: tf.Tensor
  readonly grads: Tensors
  /** The extra tensors; no gradient flows through them. */
  readonly also: Tensors
}

/**
 * The gradient of `f(leaves).loss` for each leaf. Pass trainable leaves only; `f` closes over the frozen ones.
 * @param unreachable for leaves that the loss does not depend on: `"zeros"` gives zero gradients, `"error"` throws and names them
 */
export const valueAndGrads = (
  f: (leaves: Tensors) => Loss,
  leaves: Tensors,
  unreachable: "zeros" | "error" = "error",
): ValueAndGrads => {
  const paths = Object.keys(leaves)
  let kept: Tensors = {}
  const { value, grads } = tf.engine().gradients(
    () => {
      const { loss, also = {} } = f(leaves)
      kept = Flat.map(also, (tensor) => tf.keep(tf.clone(tensor)))
      return loss
    },
    paths.map((path) => leaves[path]!),
    undefined,
    true,
  )
  const also = Flat.map(kept, (tensor) => {
    const released = tf.clone(tensor)
    tensor.dispose()
    return released
  })
  const missing = paths.filter((_, i) => grads[i] == null)
  if (missing.length > 0 && unreachable === "error")
    throw new Error(`the loss does not depend on ${missing.join(", ")}`)
  return {
    loss: value,
    grads: Flat.fromEntries(paths.map((path, i) => [path, grads[i] ?? tf.zerosLike(leaves[path]!)] as const)),
    also,
  }
}

/**
 * `f(x)` and `d Σ f(x) / dx`, the latter with the shape of x. Inside `valueAndGrads` both stay differentiable, so a penalty on the
 * gradient shares the forward pass with the loss.
 */
export const valueAndInputGrad = (
  f: (x: tf.Tensor) => tf.Tensor,
  x: tf.Tensor,
): { readonly value: tf.Tensor; readonly grad: tf.Tensor } => {
  const { value, grads } = tf.engine().gradients(() => f(x), [x])
  return { value, grad: grads[0]! }
}
