import { createHash } from "node:crypto"
import { NdArray, Ops } from "@adafm/core"
import { Session } from "@adafm/onnx"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import { Eager, type Engine, Onnx, OnnxExport, type Step } from "../src/index.ts"

/** One step of gradient descent of a small convolutional network; `untouched` is state that never changes. */
const step: Step = (state, { x, t }) => {
  const forward = (w: tf.Tensor, b: tf.Tensor): tf.Tensor =>
    Ops.leakyRelu(tf.add(Ops.conv2d(x!, w, { pad: 1 }), b), 0.2)
  const { value, grads } = tf.valueAndGrads((w, b) => tf.mean(tf.square(tf.sub(forward(w!, b!), t!))) as tf.Scalar)([
    state.w!,
    state.b!,
  ])
  return {
    state: { w: tf.sub(state.w!, tf.mul(0.1, grads[0]!)), b: tf.sub(state.b!, tf.mul(0.1, grads[1]!)) },
    stats: { loss: value },
  }
}
const specs = {
  state: {
    w: { shape: [3, 3, 16, 16], dtype: "float32" },
    b: { shape: [16], dtype: "float32" },
    untouched: { shape: [2, 2], dtype: "float32" },
  },
  batch: { x: { shape: [2, 8, 8, 16], dtype: "float32" }, t: { shape: [2, 8, 8, 16], dtype: "float32" } },
} as const
const noise = (shape: readonly number[], seed: number) =>
  NdArray.float32(
    shape,
    Float32Array.from({ length: NdArray.sizeOf(shape) }, (_, i) => Math.sin(seed + 1.7 * i)),
  )
const initial = { w: noise([3, 3, 16, 16], 1), b: noise([16], 2), untouched: noise([2, 2], 3) }
const batch = (i: number) => ({ x: noise([2, 8, 8, 16], 10 + i), t: noise([2, 8, 8, 16], 20 + i) })

describe("a compiled program", () => {
  let engine: Engine
  let outside: tf.Tensor
  beforeAll(async () => {
    await Eager.cpu()
    tf.setBackend("cpu")
    outside = tf.tensor1d([1, 2, 3])
    engine = await Onnx.create({ threads: 2 })
  })

  test("gives the same bits from run to run and across a resume, over 50 steps", async () => {
    const hash = async (from: typeof initial, first: number, last: number) => {
      const program = await engine.compile(step, specs)
      program.write(from)
      for (let i = first; i < last; i++) await program.run(batch(i))
      const state = await program.read()
      await program.dispose()
      const digest = createHash("sha256")
      for (const path of ["w", "b", "untouched"]) digest.update(NdArray.toBytes(state[path]!))
      return { state: state as typeof initial, digest: digest.digest("hex") }
    }
    const unbroken = await hash(initial, 0, 50)
    expect((await hash(initial, 0, 50)).digest).toBe(unbroken.digest)
    const half = await hash(initial, 0, 25)
    expect((await hash(half.state, 25, 50)).digest).toBe(unbroken.digest)
  })

  test("gives the same bits for many steps in one call, and keeps the state inside", async () => {
    const [single, many] = [await engine.compile(step, specs), await engine.compile(step, specs)]
    for (const program of [single, many]) program.write(initial)
    const expected: unknown[] = []
    for (let i = 0; i < 50; i++) expected.push((await single.run(batch(i))).loss!.data)
    const losses: unknown[] = []
    // calls of different lengths, with a single step and a read and write of the state in between
    for (const [from, to] of [
      [0, 7],
      [7, 8],
      [8, 30],
      [31, 50],
    ] as const) {
      if (from === 31) losses.push((await many.run(batch(30))).loss!.data)
      const all = await many.runAll(Array.from({ length: to - from }, (_, i) => batch(from + i)))
      losses.push(...all.map(({ loss }) => loss!.data))
      if (to === 30) many.write(await many.read())
    }
    expect(losses).toEqual(expected)
    expect(await many.read()).toEqual(await single.read())
    expect(await many.runAll([])).toEqual([])
    await Promise.all([single.dispose(), many.dispose()])
  })

  test("agrees with the eager engine, and returns state that no step reads unchanged", async () => {
    const eager = await Eager.cpu()
    const [a, b] = [await engine.compile(step, specs), await eager.compile(step, specs)]
    for (const program of [a, b]) program.write(initial)
    for (let i = 0; i < 3; i++) {
      const [p, q] = [await a.run(batch(i)), await b.run(batch(i))]
      expect(p.loss!.data[0]).toBeCloseTo(Number(q.loss!.data[0]), 5)
    }
    const next = [3, 4].map(batch)
    const losses = async (program: typeof a) => (await program.runAll(next)).map(({ loss }) => Number(loss!.data[0]))
    const [compiled, reference] = [await losses(a), await losses(b)]
    for (const [i, loss] of compiled.entries()) expect(loss).toBeCloseTo(reference[i]!, 5)
    const [p, q] = [await a.read(), await b.read()]
    expect(p.untouched!.data).toEqual(initial.untouched.data)
    for (const [i, value] of (p.w!.data as Float32Array).entries()) expect(value).toBeCloseTo(q.w!.data[i]!, 5)
  })

  test("takes batches of different sizes on the same state", async () => {
    const part = ({ shape: [, ...rest], data }: NdArray.NdArray<"float32">) =>
      NdArray.float32([1, ...rest], data.slice(0, NdArray.sizeOf(rest)))
    const [a, b] = [await engine.compile(step, specs), await (await Eager.cpu()).compile(step, specs)]
    for (const program of [a, b]) program.write(initial)
    for (const i of [0, 1, 2, 3]) {
      const whole = batch(i)
      const given = i % 2 === 0 ? whole : { x: part(whole.x), t: part(whole.t) }
      const [p, q] = [await a.run(given), await b.run(given)]
      expect(p.loss!.data[0]).toBeCloseTo(Number(q.loss!.data[0]), 5)
    }
    const [p, q] = [await a.read(["w"]), await b.read(["w"])]
    for (const [i, value] of (p.w!.data as Float32Array).entries()) expect(value).toBeCloseTo(q.w!.data[i]!, 5)
    await a.dispose()
  })

  test("refuses a batch that does not fit into memory, and names the size that would fit", async () => {
    const huge = { shape: [1_000_000, 512, 512, 16], dtype: "float32" } as const
    const refused = engine.compile(step, { state: specs.state, batch: { x: huge, t: huge } })
    await expect(refused).rejects.toMatchObject({
      failure: {
        _tag: "OutOfMemory",
        message: expect.stringMatching(/for a batch of 1000000.* a batch of \d+ would fit/),
      },
    })
  })

  test("does not write into the caller's arrays", async () => {
    const bias = initial.b.data.slice()
    const program = await engine.compile(step, specs)
    program.write(initial)
    for (let i = 0; i < 4; i++) await program.run(batch(i))
    expect(initial.b.data).toEqual(bias)
  })

  test.each([
    { name: "reading a value", make: (x: tf.Tensor) => tf.scalar(x.dataSync()[0]!), tag: "ReadInsideStep" },
    {
      name: "drawing random numbers",
      make: (x: tf.Tensor) => tf.add(x, tf.randomNormal(x.shape)),
      tag: "RandomInsideStep",
    },
    { name: "an operation without a lowering", make: (x: tf.Tensor) => tf.cumsum(x), tag: "UnsupportedOp" },
    { name: "using a tensor from outside", make: (x: tf.Tensor) => tf.add(x, outside), tag: "ForeignTensor" },
  ])("refuses $name inside a step", async ({ make, tag }) => {
    const refused = engine.compile((_, { x }) => ({ stats: { y: make(x!) } }), {
      state: {},
      batch: { x: { shape: [3], dtype: "float32" } },
    })
    await expect(refused).rejects.toMatchObject({ failure: { _tag: tag } })
  })
})

describe("an operation that cannot be compiled", () => {
  const refusal = async (make: (x: tf.Tensor) => tf.Tensor): Promise<unknown> => {
    const engine = await Onnx.create({ threads: 1 })
    const step: Step = (_, { x }) => ({ stats: { y: make(x!) } })
    return engine
      .compile(step, { state: {}, batch: { x: { shape: [4], dtype: "float32" } } })
      .catch(({ failure }) => failure)
  }

  test("is reported with its kernel, the function, the place of the call and the nearest supported form", async () => {
    expect(await refusal((x) => tf.cumsum(x))).toMatchObject({
      _tag: "UnsupportedOp",
      path: "Cumsum",
      message: expect.stringMatching(
        /kernel Cumsum, which tf\.cumsum calls \(.*Program\.test\.ts.*\); write tf\.matMul with a triangular matrix/,
      ),
    })
  })

  test("is reported in the same way if only the gradient is missing", async () => {
    const slope = (x: tf.Tensor): tf.Tensor =>
      tf.grad((a: tf.Tensor) => tf.sum(tf.grad((b: tf.Tensor) => tf.elu(b))(a)))(x)
    expect(await refusal(slope)).toMatchObject({
      _tag: expect.stringMatching(/^Unsupported/),
      message: expect.stringMatching(/Elu.*; write /),
    })
  })
})

describe("an exported model", () => {
  test("is plain ONNX with a free batch size and equals the step", async () => {
    const forward: Step = ({ w, b }, { z }) => {
      const x = tf.transpose(tf.reshape(z!, [-1, 16, 4, 4]), [0, 2, 3, 1])
      return { stats: { image: tf.tanh(tf.add(Ops.conv2d(Ops.upsample2(Ops.leakyRelu(x, 0.2)), w!, { pad: 1 }), b!)) } }
    }
    // sums of 144 products with standard deviation 1, as in a network: each processor adds them in a different order
    const w = NdArray.make(
      "float32",
      initial.w.shape,
      (initial.w.data as Float32Array).map((value) => value / 12),
    )
    const parameters = { w, b: initial.b }
    const bytes = OnnxExport.model(
      forward,
      parameters,
      { z: { shape: [256], dtype: "float32" } },
      { made: "by a test" },
    )
    const session = await Session.create(bytes, { threads: 1 })
    const eager = await Eager.cpu()
    for (const n of [1, 3]) {
      const z = noise([n, 256], n)
      const program = await eager.compile(forward, {
        state: { w: specs.state.w, b: specs.state.b },
        batch: { z: { shape: [n, 256], dtype: "float32" } },
      })
      program.write(parameters)
      const expected = NdArray.permute((await program.run({ z })).image!, [0, 3, 1, 2])
      const { image } = await session.run({ z })
      expect(image!.shape).toEqual([n, 16, 8, 8])
      for (const [i, value] of (expected.data as Float32Array).entries())
        expect((image!.data as Float32Array)[i]).toBeCloseTo(Number(value), 5)
    }
  })
})
