/**
 * Damaged files with graphs: each is read or refused with a failure, in bounded time, and nothing else happens. `ADAFM_MUTATIONS=N`
 * tries N files of each kind (10,000 took an hour on one core), from the seed `ADAFM_MUTATIONS_FROM`.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Checkpoint } from "@adafm/checkpoint"
import { Failure, NdArray } from "@adafm/core"
import { Mutation } from "@adafm/testkit"
import { expect, test } from "vitest"
import * as GraphNetwork from "../../src/stacks/GraphNetwork.ts"
import * as Fixtures from "./Fixtures.ts"

const COUNT = Number(process.env.ADAFM_MUTATIONS ?? 60)
const FIRST = Number(process.env.ADAFM_MUTATIONS_FROM ?? 1)

/** Milliseconds for a file. */
const MOST = 10_000

/** Numbers in [0, 1) from a seed, after Steele, Lea and Flood's SplitMix. */
const random = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x9e3779b9) | 0
    let z = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return ((z ^ (z >>> 16)) >>> 0) / 2 ** 32
  }
}

/** One to six changes. */
const mutated = (bytes: Uint8Array, seed: number): Uint8Array => {
  const next = random(seed)
  const isJson = bytes[0] === 123
  let out = bytes
  for (let changes = 1 + Math.floor(next() * 6); changes > 0; changes--) {
    if (isJson && next() < 0.8) {
      out = Mutation.inJson(out, [next(), next()])
      continue
    }
    // headers and names are at the beginning: half of the changes go there
    const near = next() < 0.5 ? 1 : Math.min(1, 4096 / Math.max(1, out.length))
    out = Mutation.of(out, [next(), next() * near, next(), next()]).bytes
  }
  return out
}

const graph = (name: string): Uint8Array => readFileSync(join(Fixtures.folder, "graphs", name))

/** A small layers model of TensorFlow.js. */
const tfjs = (): { bytes: Uint8Array; siblings: Record<string, Uint8Array> } => {
  const layer = (class_name: string, config: object) => ({ class_name, config })
  const layers = [
    layer("Dense", { name: "dense", batch_input_shape: [null, 4], units: 32, use_bias: true, activation: "relu" }),
    layer("Reshape", { name: "reshape", target_shape: [4, 4, 2] }),
    layer("Conv2DTranspose", {
      name: "up",
      filters: 3,
      kernel_size: [4, 4],
      strides: [2, 2],
      padding: "same",
      activation: "tanh",
    }),
  ]
  const weights = [
    { name: "dense/kernel", shape: [4, 32], dtype: "float32" },
    { name: "dense/bias", shape: [32], dtype: "float32" },
    { name: "up/kernel", shape: [4, 4, 3, 2], dtype: "float32" },
    { name: "up/bias", shape: [3], dtype: "float32" },
  ]
  const size = weights.reduce((n, { shape }) => n + NdArray.sizeOf(shape), 0) * 4
  const model = {
    format: "layers-model",
    modelTopology: { model_config: { class_name: "Sequential", config: { name: "g", layers } } },
    weightsManifest: [{ paths: ["1.bin"], weights }],
  }
  return { bytes: new TextEncoder().encode(JSON.stringify(model)), siblings: { "1.bin": new Uint8Array(size) } }
}

const kinds: Readonly<Record<string, { bytes: Uint8Array; siblings?: Record<string, Uint8Array> }>> = {
  onnx: { bytes: graph("resnet-g.onnx") },
  "onnx, layer norm": { bytes: graph("wgan-layernorm-d13.onnx") },
  hdf5: { bytes: graph("upsampling-g.h5") },
  keras: { bytes: graph("nested-g.keras") },
  tfjs: tfjs(),
  "graph model": {
    bytes: graph("graphmodel-g/model.json"),
    siblings: Object.fromEntries(
      [1, 2].map((n) => [`group1-shard${n}of2.bin`, graph(`graphmodel-g/group1-shard${n}of2.bin`)]),
    ),
  },
}

/** Opens, checks, reads the graph and computes every parameter. */
const open = ({ bytes, siblings }: { bytes: Uint8Array; siblings?: Record<string, Uint8Array> }): string => {
  try {
    const checkpoint = Checkpoint.ofBytes(bytes, "memory", siblings ?? {})
    checkpoint.verify()
    for (const path of Object.keys(checkpoint.tensors)) for (const piece of checkpoint.pieces(path)) void piece
    if (!GraphNetwork.has(checkpoint)) return "no graph"
    for (const { compute } of Object.values(GraphNetwork.read(checkpoint).parameters)) compute?.()
    return "read"
  } catch (thrown) {
    if (!(thrown instanceof Failure.Raised)) throw thrown
    return thrown.failure._tag
  }
}

test.each(Object.entries(kinds))("%s", { timeout: 24 * 3600_000 }, (name, whole) => {
  expect(open(whole)).toBe("read")
  const seen = new Map<string, number>()
  let slowest = { ms: 0, seed: 0, result: "" }
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const begin = process.cpuUsage()
    let result: string
    try {
      result = open({ ...whole, bytes: mutated(whole.bytes, seed) })
    } catch (thrown) {
      throw new Error(`${name}, seed ${seed}`, { cause: thrown })
    }
    // of the processor, which other work on the machine does not lengthen, with the start of a thread after one that was given up
    const { user, system } = process.cpuUsage(begin)
    const ms = (user + system) / 1000
    if (ms > slowest.ms) slowest = { ms, seed, result }
    seen.set(result, (seen.get(result) ?? 0) + 1)
  }
  if (COUNT > 60)
    console.log(
      name,
      Object.fromEntries(seen),
      `slowest ${slowest.ms.toFixed(0)} ms (seed ${slowest.seed}, ${slowest.result}), ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MB`,
    )
  expect(slowest.ms).toBeLessThan(MOST)
  expect([...seen.values()].reduce((a, b) => a + b, 0)).toBe(COUNT)
})
