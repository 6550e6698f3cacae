/** Files beyond 4 GiB in every format (zip is in `Zip64.test.ts`): sparse files that take only some kilobytes on disk. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Checkpoint, TorchWriter } from "@adafm/checkpoint"
import { Failure, NdArray } from "@adafm/core"
import { expect, test } from "vitest"

const GIB = 2 ** 30
const { bavail, bsize } = statfsSync(tmpdir())
const hasRoom = bavail * bsize > 6 * GIB

/** Elements of the large float32 tensor, which begins with 7 and 8; `after` follows it in the file. */
const ELEMENTS = GIB + 16
const first = NdArray.toBytes(NdArray.float32([2], [7, 8]))
const after = NdArray.float32([3], [1, 2, 3])
const last = NdArray.toBytes(after)

/** @param parts bytes, or the length of a hole */
const write = (file: string, parts: readonly (Uint8Array | number)[]): string => {
  const handle = openSync(file, "w")
  let at = 0
  for (const part of parts) {
    if (typeof part !== "number") writeSync(handle, part, 0, part.length, at)
    at += typeof part === "number" ? part : part.length
  }
  ftruncateSync(handle, at)
  closeSync(handle)
  return file
}

const large = [first, 4 * ELEMENTS - first.length] as const
const int64 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true)
  return bytes
}
const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]

const layouts: Readonly<Record<string, (folder: string) => string>> = {
  safetensors: (folder) => {
    const entry = (shape: readonly number[], begin: number, end: number): object => ({
      dtype: "F32",
      shape,
      data_offsets: [begin, end],
    })
    const header = Buffer.from(
      JSON.stringify({ large: entry([ELEMENTS], 0, 4 * ELEMENTS), after: entry([3], 4 * ELEMENTS, 4 * ELEMENTS + 12) }),
    )
    return write(join(folder, "x"), [int64(header.length), header, ...large, last])
  },
  tfjs: (folder) => {
    const weight = (name: string, shape: readonly number[]): object => ({ name, shape, dtype: "float32" })
    write(join(folder, "1.bin"), [...large, last])
    const manifest = [{ paths: ["1.bin"], weights: [weight("large", [ELEMENTS]), weight("after", [3])] }]
    return write(join(folder, "model.json"), [Buffer.from(JSON.stringify({ weightsManifest: manifest }))])
  },
  onnx: (folder) => {
    const head = (name: string, shape: number, data: number): Uint8Array =>
      Uint8Array.from([8, ...varint(shape), 16, 1, 66, name.length, ...Buffer.from(name), 74, ...varint(data)])
    const tensor = (message: Uint8Array, data: number): Uint8Array =>
      Uint8Array.from([42, ...varint(message.length + data), ...message])
    const [a, b] = [tensor(head("large", ELEMENTS, 4 * ELEMENTS), 4 * ELEMENTS), tensor(head("after", 3, 12), 12)]
    const graph = a.length + 4 * ELEMENTS + b.length + 12
    return write(join(folder, "x"), [Uint8Array.from([8, 10, 58, ...varint(graph)]), a, ...large, b, last])
  },
  "torch-legacy": (folder) => {
    const pickled = (...opcodes: readonly number[]): Uint8Array => Uint8Array.from([0x80, 2, ...opcodes, 0x2e])
    const name = (text: string): number[] => [0x58, text.length, 0, 0, 0, ...Buffer.from(text)]
    // the pickle needs only the shape and type of the large tensor
    const { bytes } = TorchWriter.pickle({
      large: { dtype: "float32", shape: [ELEMENTS], data: new Float32Array(0) },
      after,
    })
    return write(join(folder, "x"), [
      pickled(0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19),
      pickled(0x4d, 0xe9, 0x03),
      pickled(0x7d, ...name("little_endian"), 0x88, 0x73),
      bytes,
      pickled(0x5d, 0x28, ...name("0"), ...name("1"), 0x65),
      int64(ELEMENTS),
      ...large,
      int64(3),
      last,
    ])
  },
}

test.skipIf(!hasRoom).each(Object.keys(layouts))(
  "%s: a tensor of more than 4 GiB and the one after it are found",
  async (format) => {
    const folder = mkdtempSync(join(tmpdir(), "adafm-large-"))
    try {
      const file = layouts[format]!(folder)
      const found = await Failure.orThrow(
        Checkpoint.use(file, (c) => ({
          format: c.format,
          shape: c.tensors.large?.shape,
          after: [...c.read("after").data],
          begin: [...c.pieces("large")[Symbol.iterator]().next().value!.data.subarray(0, 3)],
        })),
      )
      expect(found).toEqual({ format, shape: [ELEMENTS], after: [1, 2, 3], begin: [7, 8, 0] })
      expect(statSync(format === "tfjs" ? join(folder, "1.bin") : file).size).toBeGreaterThan(4 * GIB)
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
)
