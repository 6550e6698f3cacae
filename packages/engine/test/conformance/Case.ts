/** A function of tensors with the inputs that it is tested on, and the step that returns its value and derivatives. */
import { NdArray } from "@adafm/core"
import { PortableRandom } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import type { Arrays, Specs, Step, Tensors } from "../../src/Engine.ts"

export interface Input {
  /** Filters and weights are state, which engines keep in their own layouts; images and labels are in the batch. */
  readonly role: "state" | "batch"
  readonly numbers: (name: string) => NdArray.NdArray<"float32" | "int32">
}

export type Order = 0 | 1 | 2

export interface Case {
  readonly name: string
  /** The layout of the input, for functions that are tested on several layouts. */
  readonly home?: string
  readonly inputs: Readonly<Record<string, Input>>
  readonly apply: (x: Tensors) => tf.Tensor
  /**
   * How many times it can be differentiated: 2; 0 if TensorFlow.js has no gradient for one of its kernels; 1 if the second gradient
   * of TensorFlow.js is wrong.
   */
  readonly order?: Order
  /** Its gradient is not the derivative, on purpose. */
  readonly surrogate?: true
}

export const title = ({ name, home }: Case): string => (home === undefined ? name : `${name}, ${home}`)
export const order = (c: Case): Order => c.order ?? 2

/** Moves a number at least 0.1 away from 0, where piecewise functions have their kinks. */
const apart = (x: number): number => Math.sign(x) * (0.1 + Math.abs(x))
const drawn = (role: Input["role"], shape: readonly number[], change: (x: number) => number = apart): Input => ({
  role,
  numbers: (name) => NdArray.float32(shape, PortableRandom.numbers(name, NdArray.sizeOf(shape)).map(change)),
})
export const batch = (...shape: readonly number[]): Input => drawn("batch", shape)
export const state = (...shape: readonly number[]): Input => drawn("state", shape)
/** Numbers in [0.5, 1.5]: for functions that are steep at 0 or undefined below. */
export const positive = (...shape: readonly number[]): Input => drawn("batch", shape, (x) => 1 + x / 2)
export const integers = (values: readonly number[], shape: readonly number[] = [values.length]): Input => ({
  role: "batch",
  numbers: () => NdArray.int32(shape, values),
})

export const arrays = ({ inputs }: Case): Arrays =>
  Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.numbers(name)]))

const ofRole = (c: Case, role: Input["role"]): Arrays =>
  Object.fromEntries(Object.entries(arrays(c)).filter(([name]) => c.inputs[name]!.role === role))
export const stateOf = (c: Case): Arrays => ofRole(c, "state")
export const batchOf = (c: Case): Arrays => ofRole(c, "batch")
export const specs = (c: Case): Specs => ({ state: stateOf(c), batch: batchOf(c) })

/** Inputs that have derivatives. */
export const variables = (c: Case): readonly string[] =>
  Object.entries(arrays(c)).flatMap(([name, { dtype }]) => (dtype === "float32" ? [name] : []))

/** Weights of the value's elements in the loss, or of the elements of an input's gradient in the second loss. */
export const weights = (of: "value" | `gradient ${string}`, size: number): Float32Array =>
  PortableRandom.numbers(`weights of ${of}`, size).map(apart)
const weighted = (t: tf.Tensor, of: Parameters<typeof weights>[0]): tf.Tensor =>
  tf.sum(tf.mul(t, tf.tensor(weights(of, t.size), t.shape)))

/**
 * Returns `y = f(x)` as `value`, the gradient of `L(x) = ⟨c, y⟩ + ½‖y‖²` as `gradient <input>`, and the gradient of `⟨w, ∇L(x)⟩` over all
 * inputs as `second <input>`. The square makes the second derivative of linear functions nonzero.
 */
export const derivatives =
  (c: Case, differentiations: Order = order(c)): Step =>
  (state, batch) => {
    const inputs = { ...state, ...batch }
    const names = variables(c)
    const loss = (...values: tf.Tensor[]): tf.Tensor => {
      const y = c.apply({ ...inputs, ...Object.fromEntries(names.map((name, i) => [name, values[i]!])) })
      return tf.add(weighted(y, "value"), tf.sum(tf.mul(0.5, tf.square(y))))
    }
    const gradients = (...values: tf.Tensor[]): tf.Tensor[] => tf.grads(loss)(values)
    const slope = (...values: tf.Tensor[]): tf.Tensor =>
      gradients(...values)
        .map((g, i) => weighted(g, `gradient ${names[i]!}`))
        .reduce((a, b) => tf.add(a, b))
    const values = names.map((name) => inputs[name]!)
    const named = (kind: string, tensors: readonly tf.Tensor[]): Tensors =>
      Object.fromEntries(tensors.map((t, i) => [`${kind} ${names[i]!}`, t]))
    return {
      stats: {
        value: c.apply(inputs),
        ...(differentiations > 0 && named("gradient", gradients(...values))),
        ...(differentiations > 1 && named("second", tf.grads(slope)(values))),
      },
    }
  }
