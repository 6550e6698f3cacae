import { Failure, NdArray, Safetensors } from "@adafm/core"
import { Mutation } from "@adafm/testkit"
import * as fc from "fast-check"
import { expect, test } from "vitest"
import * as Checkpoint from "../src/Checkpoint.ts"
import * as DType from "../src/DType.ts"
import * as TensorStats from "../src/TensorStats.ts"
import * as TorchWriter from "../src/torch/TorchWriter.ts"
import * as ZipWriter from "../src/zip/ZipWriter.ts"

const arrays = {
  "module.fc.weight": NdArray.float32([3, 2], [1, -2, 3, 4, 5, 6]),
  "module.fc.bias": NdArray.make("bfloat16", [3], Uint16Array.from([0x3f80, 0, 0xc000])),
  "module.steps": NdArray.make("int64", [], BigInt64Array.from([1n << 40n])),
}

/** A file in the container before PyTorch 1.6, assembled by hand. */
const legacy = (): Uint8Array => {
  const { bytes, arrays: storages } = TorchWriter.pickle({ generator: arrays })
  const pickled = (...opcodes: readonly number[]): Uint8Array => Uint8Array.from([0x80, 2, ...opcodes, 0x2e])
  const name = (text: string): number[] => [0x58, text.length, 0, 0, 0, ...new TextEncoder().encode(text)]
  return Buffer.concat([
    pickled(0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19),
    pickled(0x4d, 0xe9, 0x03),
    pickled(0x7d, ...name("little_endian"), 0x88, 0x73),
    bytes,
    pickled(0x5d, 0x28, ...storages.flatMap((_, key) => name(String(key))), 0x65),
    ...storages.flatMap((array) => {
      const count = new Uint8Array(8)
      new DataView(count.buffer).setBigInt64(0, BigInt(array.data.length), true)
      return [count, NdArray.toBytes(array)]
    }),
  ])
}

const header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1), }\n"
const npy = Buffer.concat([
  Uint8Array.from([0x93, ...Buffer.from("NUMPY"), 1, 0, header.length, 0]),
  Buffer.from(header),
  new Uint8Array(8),
])

const onnx = (): Uint8Array => {
  const tensor = Uint8Array.from([8, 2, 16, 1, 66, 1, 120, 74, 8, 0, 0, 128, 63, 0, 0, 0, 64])
  return Uint8Array.from([8, 10, 58, tensor.length + 2, 42, tensor.length, ...tensor])
}

interface Whole {
  readonly bytes: Uint8Array
  readonly siblings?: Readonly<Record<string, Uint8Array>>
}

const json = (value: object): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

const tfjs: Whole = {
  bytes: json({
    format: "layers-model",
    weightsManifest: [
      {
        paths: ["1.bin", "2.bin"],
        weights: [
          { name: "generator/fc/kernel", shape: [2, 3], dtype: "float32" },
          { name: "a", shape: [4], dtype: "float32", quantization: { dtype: "uint8", scale: 0.5, min: -1 } },
          { name: "b", shape: [2], dtype: "float32", quantization: { dtype: "uint16", scale: 2, min: 0 } },
          { name: "c", shape: [2], dtype: "float32", quantization: { dtype: "float16" } },
          { name: "d", shape: [1], dtype: "int32" },
        ],
      },
    ],
  }),
  siblings: { "1.bin": new Uint8Array(26).fill(7), "2.bin": new Uint8Array(14).fill(3) },
}

const sharded: Whole = {
  bytes: json({ metadata: {}, weight_map: { x: "1.bin", "y.z": "2.bin" } }),
  siblings: {
    "1.bin": Buffer.concat([...Safetensors.encode({ x: arrays["module.fc.weight"] })]),
    "2.bin": Buffer.concat([...TorchWriter.encode({ "y.z": arrays["module.fc.bias"] })]),
  },
}

const files: Readonly<Record<string, Whole>> = {
  "torch-legacy": { bytes: legacy() },
  "torch-zip": { bytes: Buffer.concat([...TorchWriter.encode({ generator: arrays })]) },
  safetensors: { bytes: Buffer.concat([...Safetensors.encode(arrays, { note: "x" })]) },
  npz: {
    bytes: Buffer.concat([
      ...ZipWriter.encode([
        { name: "a.npy", bytes: npy },
        { name: "b.npy", bytes: npy },
      ]),
    ]),
  },
  onnx: { bytes: onnx() },
  tfjs,
  "safetensors shards": sharded,
}

/** Opens a file, verifies it, sums every tensor. */
const inspect = ({ bytes, siblings = {} }: Whole): string => {
  const checkpoint = Checkpoint.ofBytes(bytes, "memory", siblings)
  checkpoint.verify()
  for (const { path, dtype } of Object.values(checkpoint.tensors))
    TensorStats.of(DType.readAs(dtype)!, checkpoint.pieces(path))
  return checkpoint.format
}

type Change = (bytes: Uint8Array) => Uint8Array

/** Even over [0, 1): doubles of fast-check are even over exponents, so that nearly all of them are close to 0. */
const at = fc.noBias(fc.integer({ min: 0, max: 2 ** 30 - 1 })).map((n) => n / 2 ** 30)
const change: fc.Arbitrary<Change> = fc.tuple(at, at, at, at).map(
  (draw): Change =>
    (bytes) =>
      Mutation.of(bytes, draw).bytes,
)

const inJson: fc.Arbitrary<Change> = fc.tuple(at, at).map(
  (draw): Change =>
    (bytes) =>
      Mutation.inJson(bytes, draw),
)

/** Changes one file of a checkpoint, mostly the first. */
const mutated = ({ bytes, siblings }: Whole, changes: readonly Change[], which: number): Whole => {
  const apply = (some: Uint8Array): Uint8Array =>
    changes.reduce((all, f) => (all.length === 0 ? all : Uint8Array.from(f(all))), some)
  const names = Object.keys(siblings ?? {})
  const name = which < 0.7 ? undefined : names[Math.floor(((which - 0.7) / 0.3) * names.length)]
  return name === undefined
    ? { bytes: apply(bytes), ...(siblings && { siblings }) }
    : { bytes, siblings: { ...siblings, [name]: apply(siblings![name]!) } }
}

test.each(Object.keys(files))("%s: the unchanged file is read", (format) => {
  expect(inspect(files[format]!)).toBe(format.split(" ")[0])
})

/** More runs: `FUZZ_RUNS=100000 npx vitest run packages/checkpoint/test/Fuzz.test.ts`. */
const numRuns = Number(process.env.FUZZ_RUNS ?? 1500)
/** Seconds of processor time, which other work on the machine does not lengthen. */
const MOST_SECONDS = 2

test.each(Object.keys(files))(
  "%s: a mutated file loads or is refused with a tagged failure, quickly and in little memory",
  (format) => {
    const outcomes = new Map<string, number>()
    const kind = files[format]!.siblings === undefined ? change : fc.oneof(change, inJson)
    fc.assert(
      fc.property(fc.array(kind, { minLength: 1, maxLength: 3 }), at, (changes, which) => {
        const begin = process.cpuUsage()
        let outcome = "loads"
        try {
          inspect(mutated(files[format]!, changes, which))
        } catch (thrown) {
          if (!(thrown instanceof Failure.Raised)) throw thrown
          outcome = thrown.failure._tag
        }
        const { user, system } = process.cpuUsage(begin)
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        expect((user + system) / 1e6).toBeLessThan(MOST_SECONDS)
        expect(process.memoryUsage().arrayBuffers).toBeLessThan(300e6)
      }),
      { seed: 20200226, numRuns },
    )
    // mutations must reach deep into the reader, not only its first check
    expect(outcomes.size).toBeGreaterThanOrEqual(format === "onnx" ? 4 : 5)
  },
)
