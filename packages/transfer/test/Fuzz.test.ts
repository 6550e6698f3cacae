import { Failure, NdArray, Safetensors } from "@adafm/core"
import * as fc from "fast-check"
import { expect, test } from "vitest"
import * as Checkpoint from "../src/Checkpoint.ts"
import * as DType from "../src/DType.ts"
import * as Stats from "../src/Stats.ts"
import * as Writer from "../src/torch/Writer.ts"
import * as ZipWriter from "../src/ZipWriter.ts"

const arrays = {
  "module.fc.weight": NdArray.float32([3, 2], [1, -2, 3, 4, 5, 6]),
  "module.fc.bias": NdArray.make("bfloat16", [3], Uint16Array.from([0x3f80, 0, 0xc000])),
  "module.steps": NdArray.make("int64", [], BigInt64Array.from([1n << 40n])),
}

/** The container before PyTorch 1.6, assembled by hand. */
const legacy = (): Uint8Array => {
  const { bytes, arrays: storages } = Writer.pickle({ generator: arrays })
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

const files: Readonly<Record<string, Uint8Array>> = {
  "torch-legacy": legacy(),
  "torch-zip": Buffer.concat([...Writer.encode({ generator: arrays })]),
  safetensors: Buffer.concat([...Safetensors.encode(arrays, { note: "x" })]),
  npz: Buffer.concat([
    ...ZipWriter.encode([
      { name: "a.npy", bytes: npy },
      { name: "b.npy", bytes: npy },
    ]),
  ]),
  onnx: onnx(),
}

/** Everything that an inspection does. */
const inspect = (bytes: Uint8Array): string => {
  const checkpoint = Checkpoint.ofBytes(bytes)
  checkpoint.verify()
  for (const { path, dtype } of Object.values(checkpoint.tensors))
    Stats.of(DType.readAs(dtype)!, checkpoint.pieces(path))
  return checkpoint.format
}

type Change = (bytes: Uint8Array) => Uint8Array

const at = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
const index = (bytes: Uint8Array, where: number): number => Math.floor(where * bytes.length)

/** Numbers at which parsers slip: signs, limits of widths, sizes beyond any memory. */
const extremes = [
  0n,
  1n,
  127n,
  255n,
  0x7fffn,
  0xffffn,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  1n << 40n,
  (1n << 63n) - 1n,
  (1n << 64n) - 1n,
]

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(at, fc.integer({ min: 0, max: 255 })).map(
    ([where, value]): Change =>
      (bytes) =>
        bytes.with(index(bytes, where), value),
  ),
  fc.tuple(at, fc.integer({ min: 0, max: 7 })).map(
    ([where, bit]): Change =>
      (bytes) =>
        bytes.with(index(bytes, where), bytes[index(bytes, where)]! ^ (1 << bit)),
  ),
  at.map(
    (where): Change =>
      (bytes) =>
        bytes.subarray(0, index(bytes, where)),
  ),
  fc.tuple(at, at).map(
    ([a, b]): Change =>
      (bytes) =>
        Buffer.concat([bytes.subarray(0, index(bytes, a)), bytes.subarray(index(bytes, b))]),
  ),
  fc.tuple(at, fc.uint8Array({ maxLength: 12 })).map(
    ([where, more]): Change =>
      (bytes) =>
        Buffer.concat([bytes.subarray(0, index(bytes, where)), more, bytes.subarray(index(bytes, where))]),
  ),
  fc.tuple(at, fc.constantFrom(...extremes), fc.constantFrom(1, 2, 4, 8)).map(
    ([where, value, width]): Change =>
      (bytes) => {
        const out = Uint8Array.from(bytes)
        for (let i = 0; i < width && index(bytes, where) + i < out.length; i++)
          out[index(bytes, where) + i] = Number((value >> BigInt(8 * i)) & 255n)
        return out
      },
  ),
)

test.each(Object.keys(files))("%s: the file itself is read", (format) => {
  expect(inspect(files[format]!)).toBe(format)
})

/** More runs: `FUZZ_RUNS=100000 npx vitest run packages/transfer/test/Fuzz.test.ts`. */
const numRuns = Number(process.env.FUZZ_RUNS ?? 1500)

test.each(Object.keys(files))(
  "%s: a mutated file loads or is refused by a tagged failure, in little memory",
  (format) => {
    const outcomes = new Map<string, number>()
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        const mutated = changes.reduce<Uint8Array>(
          (bytes, f) => (bytes.length === 0 ? bytes : Uint8Array.from(f(bytes))),
          files[format]!,
        )
        let outcome = "loads"
        try {
          inspect(mutated)
        } catch (thrown) {
          if (!(thrown instanceof Failure.Raised)) throw thrown
          outcome = thrown.failure._tag
        }
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        expect(process.memoryUsage().arrayBuffers).toBeLessThan(300e6)
      }),
      { seed: 20200226, numRuns },
    )
    // mutations must reach deep into the reader, not only its first check
    expect(outcomes.size).toBeGreaterThanOrEqual(format === "onnx" ? 4 : 5)
  },
)
