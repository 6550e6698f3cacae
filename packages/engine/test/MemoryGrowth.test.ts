import { NdArray, Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import { expect, test } from "vitest"
import { Onnx, type Step } from "../src/index.ts"

const megabytes = (): number => process.memoryUsage().rss / 2 ** 20

/** RMSprop on one convolution. It has 64 KB of state, so leaking a tenth of it in each step would be 50 MB. */
const step: Step = ({ w, v }, { x, t }) => {
  const loss = (p: tf.Tensor): tf.Scalar => tf.mean(tf.square(tf.sub(Ops.conv2d(x!, p, { pad: 0 }), t!)))
  const { value, grad } = tf.valueAndGrad((p: tf.Tensor) => loss(p))(w!)
  const next = tf.add(tf.mul(v!, 0.9), tf.mul(tf.square(grad), 0.1))
  return {
    state: { v: next, w: tf.sub(w!, tf.mul(0.01, tf.div(grad, tf.add(tf.sqrt(next), 1e-3)))) },
    stats: { loss: value },
  }
}
const filter = [1, 1, 64, 128] as const

test("10,000 steps take no more memory than 2,000", async () => {
  const engine = await Onnx.create({ threads: 1 })
  const batch = { x: NdArray.zeros("float32", [1, 1, 1, 64]), t: NdArray.zeros("float32", [1, 1, 1, 128]) }
  batch.x.data.fill(1)
  const spec = { shape: filter, dtype: "float32" } as const
  const program = await engine.compile(step, {
    state: { w: spec, v: spec },
    batch: { x: { shape: [1, 1, 1, 64], dtype: "float32" }, t: { shape: [1, 1, 1, 128], dtype: "float32" } },
  })
  const start = NdArray.zeros("float32", filter)
  start.data.fill(0.01)
  program.write({ w: start, v: NdArray.zeros("float32", filter) })
  // single steps, and several steps in one call
  const steps = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i += 20) {
      for (let k = 0; k < 10; k++) await program.run(batch)
      await program.runAll(Array(10).fill(batch))
    }
  }
  await steps(2000)
  const before = megabytes()
  await steps(8000)
  expect(megabytes() - before).toBeLessThan(50)
  await program.dispose()
})
