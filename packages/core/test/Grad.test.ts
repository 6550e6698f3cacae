import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, expect, test } from "vitest"
import * as Grad from "../src/optimise/Grad.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

const data = (t: tf.Tensor | undefined): number[] => [...t!.dataSync()]

test("gradients are returned by path, with the extra tensors, and no tensor leaks", () => {
  const leaves = { "a.weight": tf.tensor1d([1, 2]), "b.weight": tf.tensor1d([3, 4]) }
  const before = tf.memory().numTensors
  tf.tidy(() => {
    const { loss, grads, also } = Grad.valueAndGrads((p) => {
      const product = tf.mul(p["a.weight"]!, p["b.weight"]!)
      return { loss: tf.sum(product), also: { product } }
    }, leaves)
    expect(data(loss)).toEqual([11])
    expect(data(grads["a.weight"])).toEqual([3, 4])
    expect(data(grads["b.weight"])).toEqual([1, 2])
    expect(data(also.product)).toEqual([3, 8])
  })
  expect(tf.memory().numTensors).toBe(before)
})

test("a leaf that the loss ignores is an error that names it, or zero on request", () => {
  const leaves = { used: tf.tensor1d([1, 2]), idle: tf.tensor1d([5]) }
  const loss = (p: Readonly<Record<string, tf.Tensor>>) => ({ loss: tf.sum(tf.square(p.used!)) })
  expect(() => Grad.valueAndGrads(loss, leaves)).toThrow("does not depend on idle")
  expect(data(Grad.valueAndGrads(loss, leaves, "zeros").grads.idle)).toEqual([0])
})

/** f = w x³, penalty (df/dx)² = 9 w² x⁴, its derivative 18 w x⁴; plus df/dw = x³. At w = 2, x = 3: 2916 + 27. */
test("a loss and a penalty on the input gradient can share a forward pass", () => {
  const { grads } = Grad.valueAndGrads(
    (p) => {
      const { value, grad } = Grad.valueAndInputGrad((x) => tf.mul(p.w!, tf.mul(x, tf.square(x))), tf.tensor1d([3]))
      return { loss: tf.add(tf.sum(value), tf.sum(tf.square(grad))) }
    },
    { w: tf.scalar(2) },
  )
  expect(data(grads.w)).toEqual([2943])
})
