import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { deflateRawSync } from "node:zlib"
import { Checkpoint, TorchWriter, ZipWriter } from "@adafm/checkpoint"
import { Failure, type Flat, NdArray, Safetensors } from "@adafm/core"
import { describe, expect, test } from "vitest"
import * as Inspect from "../../src/import/Inspect.ts"
import * as ParameterNames from "../../src/recognise/ParameterNames.ts"

const bytesOf = (chunks: Iterable<Uint8Array>): Buffer => Buffer.concat([...chunks])
const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const folder = (): string => mkdtempSync(join(tmpdir(), "adafm-formats-"))
const values = (c: Checkpoint.Checkpoint): object =>
  Object.fromEntries(Object.keys(c.tensors).map((path) => [path, [...NdArray.toFloat64(c.read(path)).data]]))

const npy = (descr: string, shape: string, data: Uint8Array, fortran = "False"): Uint8Array => {
  const header = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`
  return bytesOf([
    Uint8Array.from([0x93]),
    text("NUMPY"),
    Uint8Array.from([1, 0, header.length, 0]),
    text(header),
    data,
  ])
}
const npz = (members: Record<string, Uint8Array>): Buffer =>
  bytesOf(ZipWriter.encode(Object.entries(members).map(([name, bytes]) => ({ name, bytes }))))
const floats = (...list: number[]): Uint8Array => new Uint8Array(Float32Array.from(list).buffer)

/** The tag of the failure when the bytes are opened, checked and read. */
const failure = (bytes: Uint8Array): string => {
  try {
    const c = Checkpoint.ofBytes(bytes)
    c.verify()
    values(c)
    return "none"
  } catch (thrown) {
    return Failure.fromThrown(thrown)._tag
  }
}

describe("NumPy's npz", () => {
  test("rows, columns first, big-endian and half precision are read to the same numbers", () => {
    const file = npz({
      "rows.npy": npy("<f4", "(2, 3)", floats(1, 2, 3, 4, 5, 6)),
      "columns.npy": npy("<f4", "(2, 3)", floats(1, 4, 2, 5, 3, 6), "True"),
      "big.npy": npy(">i4", "(2,)", Uint8Array.from([0, 0, 1, 0, 255, 255, 255, 254])),
      "half.npy": npy("<f2", "()", Uint8Array.from([0, 0x3e])),
    })
    const checkpoint = Checkpoint.ofBytes(file)
    checkpoint.verify()
    expect(checkpoint.format).toBe("npz")
    expect(values(checkpoint)).toEqual({
      rows: [1, 2, 3, 4, 5, 6],
      columns: [1, 2, 3, 4, 5, 6],
      big: [256, -2],
      half: [1.5],
    })
  })

  test("a deflated member is read", () => {
    const raw = npy("<f4", "(1000,)", new Uint8Array(4000))
    const plain = npz({ "zeros.npy": raw })
    const packed = deflateRawSync(raw)
    // the same archive with the member's data replaced, its method and packed size in both headers
    const start = plain.indexOf("zeros.npy") + 9 + plain.readUInt16LE(28)
    const directory = plain.indexOf(Buffer.from([0x50, 0x4b, 1, 2]))
    const file = Buffer.concat([plain.subarray(0, start), packed, plain.subarray(start + raw.length)])
    const shift = packed.length - raw.length
    file.writeUInt16LE(8, 8)
    file.writeUInt32LE(packed.length, 18)
    file.writeUInt16LE(8, directory + shift + 10)
    file.writeUInt32LE(packed.length, directory + shift + 20)
    file.writeUInt32LE(directory + shift, file.length - 6)
    const checkpoint = Checkpoint.ofBytes(file)
    checkpoint.verify()
    expect(checkpoint.read("zeros").data).toEqual(new Float32Array(1000))
  })

  test.each([
    ["pickled objects", npy("|O", "(1,)", new Uint8Array(8)), "BadTensor"],
    ["dates", npy("<M8[D]", "(1,)", new Uint8Array(8)), "UnsupportedDType"],
    ["long doubles", npy("<f16", "(1,)", new Uint8Array(16)), "UnsupportedDType"],
    ["a shape larger than its data", npy("<f4", "(3,)", floats(1, 2)), "BadTensor"],
    ["a shape beyond 2^53", npy("<f4", "(9007199254740993, 1024)", floats(1)), "BadTensor"],
  ])("%s are refused", (_, array, tag) => {
    expect(failure(npz({ "x.npy": array }))).toBe(tag)
  })
})

describe("safetensors", () => {
  const a = { x: NdArray.float32([2], [1, 2]), "y.z": NdArray.int32([1], [3]) }
  const b = { w: NdArray.make("bfloat16", [2], Uint16Array.from([0x3f80, 0xc000])) }

  test("a file is recognised by its content", () => {
    const checkpoint = Checkpoint.ofBytes(bytesOf(Safetensors.encode({ ...a, ...b }, { note: "hi" })), "weights.bin")
    expect(checkpoint).toMatchObject({ format: "safetensors", metadata: { note: "hi" } })
    expect(values(checkpoint)).toEqual({ w: [1, -2], x: [1, 2], "y.z": [3] })
    expect(failure(bytesOf(Safetensors.encode(a)).subarray(0, -1))).toBe("BadTensor")
    expect(failure(Buffer.concat([bytesOf(Safetensors.encode(a)), Buffer.from([0])]))).toBe("TruncatedFile")
  })

  test.each([
    [0x80, "a pickle"],
    [0x280, "a pickle of protocol 2"],
    [0x4b50, "a zip file"],
    [0x8b1f, "gzip"],
    [0x3c, "a web page"],
  ])("whose header length is %i, the first bytes of %s, is still safetensors", (length) => {
    const tensor = `"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
    const header = text(`{${tensor.padStart(length - 1)}`)
    const size = new Uint8Array(8)
    new DataView(size.buffer).setBigUint64(0, BigInt(length), true)
    expect(header.length).toBe(length)
    const checkpoint = Checkpoint.ofBytes(Buffer.concat([size, header, floats(1, 2)]))
    expect([checkpoint.format, values(checkpoint)]).toEqual(["safetensors", { x: [1, 2] }])
  })

  test("shards are read through their index, which may not name files outside its folder", async () => {
    const here = folder()
    writeFileSync(join(here, "1.safetensors"), bytesOf(Safetensors.encode(a)))
    writeFileSync(join(here, "2.safetensors"), bytesOf(Safetensors.encode(b)))
    const index = (map: object): string => {
      writeFileSync(join(here, "index.json"), JSON.stringify({ metadata: { total_size: 16 }, weight_map: map }))
      return join(here, "index.json")
    }
    const good = index({ x: "1.safetensors", "y.z": "1.safetensors", w: "2.safetensors" })
    expect(await Failure.orThrow(Checkpoint.use(good, values))).toEqual({ w: [1, -2], x: [1, 2], "y.z": [3] })
    const partial = await Failure.orThrow(Inspect.inspect(index({ x: "1.safetensors" })))
    expect(partial.problems).toEqual(["1.safetensors holds y.z, which the index does not name"])
    const tags = async (map: object): Promise<unknown> => Checkpoint.list(index(map))()
    expect(await tags({ x: "../1.safetensors" })).toMatchObject({ left: { _tag: "UnsafePath" } })
    expect(await tags({ x: "3.safetensors" })).toMatchObject({ left: { _tag: "MissingShard" } })
    expect(await tags({ x: "2.safetensors" })).toMatchObject({ left: { _tag: "MissingTensor", path: "x" } })
  })
})

describe("TensorFlow.js", () => {
  test("tensors across shards, quantised weights, and Keras' names and layouts", async () => {
    const here = folder()
    const data = bytesOf([
      floats(...Array.from({ length: 12 }, (_, i) => i)),
      Uint8Array.from([0, 255]),
      Uint8Array.from([0, 0x3c]),
    ])
    writeFileSync(join(here, "group1-shard1of2.bin"), data.subarray(0, 30))
    writeFileSync(join(here, "group1-shard2of2.bin"), data.subarray(30))
    const weights = [
      { name: "generator/main/3/kernel", shape: [1, 2, 3, 2], dtype: "float32" },
      {
        name: "generator/main/3/bias",
        shape: [2],
        dtype: "float32",
        quantization: { dtype: "uint8", scale: 0.5, min: -1 },
      },
      { name: "generator/norm/gamma:0", shape: [1], dtype: "float32", quantization: { dtype: "float16" } },
    ]
    const paths = ["group1-shard1of2.bin", "group1-shard2of2.bin"]
    writeFileSync(
      join(here, "model.json"),
      JSON.stringify({ format: "layers-model", weightsManifest: [{ paths, weights }] }),
    )
    const { read, networks, format } = Failure.orThrow(
      await Checkpoint.use(join(here, "model.json"), (c) => ({
        format: c.format,
        read: values(c),
        networks: ParameterNames.networks(c),
      }))(),
    )
    expect(format).toBe("tfjs")
    expect(read).toMatchObject({ "generator/main/3/bias": [-1, 126.5], "generator/norm/gamma:0": [1] })
    expect(networks).toEqual([
      {
        kind: "generator",
        root: "generator",
        parameters: {
          "main.3.weight": { from: "generator/main/3/kernel", shape: [2, 3, 1, 2], permute: [3, 2, 0, 1] },
          "main.3.bias": { from: "generator/main/3/bias", shape: [2] },
          "norm.weight": { from: "generator/norm/gamma:0", shape: [1] },
        },
      },
    ])
    writeFileSync(join(here, "group1-shard2of2.bin"), data.subarray(30, -1))
    expect(await Checkpoint.list(join(here, "model.json"))()).toMatchObject({ left: { _tag: "TruncatedFile" } })
  })
})

describe("ONNX", () => {
  const field = (number: number, content: Uint8Array): Uint8Array =>
    bytesOf([Uint8Array.from([(number << 3) | 2, content.length]), content])
  const varint = (number: number, value: number): Uint8Array => Uint8Array.from([number << 3, value])
  const model = (...initializers: Uint8Array[]): Buffer =>
    bytesOf([varint(1, 10), field(7, bytesOf([field(2, text("graph")), ...initializers.map((i) => field(5, i))]))])

  test("initializers with raw, float and varint data", () => {
    const checkpoint = Checkpoint.ofBytes(
      model(
        bytesOf([varint(1, 2), varint(1, 1), varint(2, 1), field(8, text("fc.weight")), field(9, floats(1.5, -2))]),
        bytesOf([field(1, Uint8Array.from([2])), varint(2, 1), field(4, floats(3, 4)), field(8, text("packed"))]),
        bytesOf([varint(1, 3), varint(2, 7), field(7, Uint8Array.from([1, 0x80, 1, 5])), field(8, text("ints"))]),
      ),
    )
    expect(checkpoint.format).toBe("onnx")
    expect(checkpoint.tensors["fc.weight"]?.shape).toEqual([2, 1])
    expect(values(checkpoint)).toEqual({ "fc.weight": [1.5, -2], packed: [3, 4], ints: [1, 128, 5] })
  })

  test("too little data, data in another file and a truncated file are refused", () => {
    const head = [varint(1, 3), varint(2, 1), field(8, text("x"))]
    expect(failure(model(bytesOf([...head, field(9, floats(1, 2))])))).toBe("BadTensor")
    expect(failure(model(bytesOf([...head, varint(14, 1)])))).toBe("BadTensor")
    expect(failure(model(bytesOf([...head, field(9, floats(1, 2, 3))])).subarray(0, -1))).toBe("TruncatedFile")
  })
})

describe("PyTorch's zip container as we write it", () => {
  const tree: { generator: Flat.Flat<NdArray.NdArray> } = {
    generator: {
      "a.weight": NdArray.float32([2, 2], [1, 2, 3, 4]),
      n: NdArray.make("int64", [], BigInt64Array.from([7n])),
      e: NdArray.float32([0], []),
    },
  }

  test("is read back to the bit, with data at multiples of 64 bytes", () => {
    const bytes = bytesOf(TorchWriter.encode(tree))
    const checkpoint = Checkpoint.ofBytes(bytes)
    checkpoint.verify()
    expect(checkpoint).toMatchObject({ format: "torch-zip", problems: [] })
    expect(values(checkpoint)).toEqual({ "generator/a.weight": [1, 2, 3, 4], "generator/n": [7], "generator/e": [] })
    expect(bytes.indexOf(floats(1, 2, 3, 4)) % 64).toBe(0)
  })

  test("a single flipped bit in a tensor's data is found", () => {
    const bytes = bytesOf(TorchWriter.encode(tree))
    bytes[bytes.indexOf(floats(1, 2, 3, 4)) + 5]! ^= 1
    expect(failure(bytes)).toBe("BadChecksum")
  })

  test("a file without checksums (set_crc32_options(False)) is read and says so; a file that lacks only one is refused", () => {
    const bytes = bytesOf(TorchWriter.encode(tree))
    const signature = Buffer.from([0x50, 0x4b, 1, 2])
    let [first, cleared] = [Buffer.alloc(0) as Buffer, 0]
    for (let at = bytes.indexOf(signature); at >= 0; at = bytes.indexOf(signature, at + 4)) {
      bytes.writeUInt32LE(0, at + 16)
      if (cleared++ === 0) first = Buffer.from(bytes)
    }
    expect(cleared).toBe(6)
    const checkpoint = Checkpoint.ofBytes(bytes)
    checkpoint.verify()
    expect(checkpoint.problems).toEqual([expect.stringContaining("without checksums")])
    expect(values(checkpoint)).toMatchObject({ "generator/a.weight": [1, 2, 3, 4] })
    expect(failure(first)).toBe("BadChecksum")
  })
})
