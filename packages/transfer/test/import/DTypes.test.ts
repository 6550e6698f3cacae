/** Element types without an array type of their own: read exactly where a wider type can hold them, otherwise only listed. */
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Checkpoint, DType, TorchWriter, ZipWriter } from "@adafm/checkpoint"
import { Failure, Leaf, NdArray, Safetensors } from "@adafm/core"
import { Gan } from "@adafm/gan"
import { expect, test } from "vitest"
import * as Import from "../../src/import/Import.ts"
import * as Inspect from "../../src/import/Inspect.ts"

type Stored = Readonly<Record<string, { readonly dtype: string; readonly shape: number[]; readonly bytes: Uint8Array }>>

/** A safetensors file written from its description. */
const file = (tensors: Stored): Buffer => {
  let at = 0
  const header = Object.fromEntries(
    Object.entries(tensors).map(([path, { dtype, shape, bytes }]) => {
      const begin = at
      at += bytes.length
      return [path, { dtype, shape, data_offsets: [begin, at] }]
    }),
  )
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([length, json, ...Object.values(tensors).map(({ bytes }) => bytes)])
}
const raw = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

const exotic: Stored = {
  u16: { dtype: "U16", shape: [2], bytes: raw(Uint16Array.of(65535, 1)) },
  u32: { dtype: "U32", shape: [2], bytes: raw(Uint32Array.of(4294967295, 2)) },
  u64: { dtype: "U64", shape: [1], bytes: raw(BigUint64Array.of(2n ** 60n)) },
  huge: { dtype: "U64", shape: [1], bytes: raw(BigUint64Array.of(2n ** 64n - 1n)) },
  c: { dtype: "C64", shape: [2], bytes: raw(Float32Array.of(1, 2, 3, 4)) },
  // 448, the smallest subnormal, NaN
  e4m3: { dtype: "F8_E4M3", shape: [3], bytes: Uint8Array.of(0x7e, 0x01, 0xff) },
  // 57344, -1, infinity
  e5m2: { dtype: "F8_E5M2", shape: [3], bytes: Uint8Array.of(0x7b, 0xbc, 0x7c) },
}

test("unsigned integers and 8-bit floats keep their values, complex numbers are listed", async () => {
  const path = join(mkdtempSync(join(tmpdir(), "adafm-dtypes-")), "exotic.safetensors")
  writeFileSync(path, file(exotic))
  const { tensors, problems } = await Failure.orThrow(Inspect.inspect(path))
  expect(Object.fromEntries(tensors.map(({ path, dtype, sum, absMax }) => [path, [dtype, sum, absMax]]))).toEqual({
    u16: ["uint16", 65536, 65535],
    u32: ["uint32", 4294967297, 4294967295],
    u64: ["uint64", { integer: String(2n ** 60n) }, { integer: String(2n ** 60n) }],
    huge: ["uint64", null, null],
    c: ["complex64", null, null],
    e4m3: ["float8_e4m3fn", { float: "nan" }, { float: "nan" }],
    e5m2: ["float8_e5m2", { float: "inf" }, { float: "inf" }],
  })
  expect(problems).toEqual([
    expect.stringContaining("huge is listed but its values are not read: "),
    expect.stringContaining("c is listed but its values are not read: "),
  ])
  const checkpoint = Checkpoint.ofBytes(file(exotic))
  expect([...checkpoint.read("e4m3").data]).toEqual([448, 2 ** -9, Number.NaN])
  expect([...checkpoint.read("e5m2").data]).toEqual([57344, -1, Number.POSITIVE_INFINITY])
  expect(() => checkpoint.read("c")).toThrow(Failure.Raised)
  // the sizes of tensors that cannot be read are checked too
  expect(() => Checkpoint.ofBytes(file(exotic).subarray(0, -1))).toThrow(/takes|end at byte/)
})

test("8-bit floats of both kinds are monotonic and symmetric, and halve where the exponent falls by one", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i)
  for (const [dtype, top] of [
    ["float8_e4m3fn", 0x7e],
    ["float8_e5m2", 0x7b],
  ] as const) {
    const values = NdArray.toFloat32(DType.decode(dtype, [256], all)).data
    for (let i = 1; i <= top; i++) expect(values[i]!).toBeGreaterThan(values[i - 1]!)
    for (let i = 1; i <= top; i++) expect(values[i + 128]).toBe(-values[i]!)
    const step = dtype === "float8_e4m3fn" ? 8 : 4
    for (let i = top; i >= 2 * step; i--) expect(values[i - step]).toBe(values[i]! / 2)
  }
})

test("a complex tensor that no network needs is ignored, one that is needed is refused", async () => {
  const here = mkdtempSync(join(tmpdir(), "adafm-dtypes-"))
  const gan = Gan.of(Gan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, z_dim: 3 }))
  const stored = Object.fromEntries(
    (["generator", "discriminator"] as const).flatMap((net) =>
      Object.entries(Leaf.initAll(gan[net], 1, net)).map(([path, { shape, data }]) => [
        `${net}/${path}`,
        { dtype: "F32", shape: [...shape], bytes: raw(data) },
      ]),
    ),
  )
  const c = { dtype: "C64", shape: [1], bytes: new Uint8Array(8) }
  writeFileSync(join(here, "good.safetensors"), file({ ...stored, "spectrum/c": c }))
  const imported = Failure.orThrow(
    await Import.importModel({ files: [join(here, "good.safetensors")], out: join(here, "a") })(),
  )
  expect(imported.ignored).toEqual(["spectrum/c"])
  const bias = { dtype: "C64", shape: [3], bytes: new Uint8Array(24) }
  writeFileSync(join(here, "bad.safetensors"), file({ ...stored, "generator/conv_img.bias": bias }))
  expect(await Import.importModel({ files: [join(here, "bad.safetensors")], out: join(here, "b") })()).toMatchObject({
    left: { _tag: "UnsupportedDType", path: "generator/conv_img.bias" },
  })
  expect(
    (await Failure.orThrow(Safetensors.read(join(here, "a/generator.safetensors")))).tensors["conv_img.bias"]?.shape,
  ).toEqual([3])
})

/** `torch.save({"c": torch.tensor([1+2j]), "w": torch.tensor([1.5, -2.])})` of PyTorch 1.13, without and with the zip container. */
const complex = [
  [
    "torch-legacy",
    "gAKKCmz8nEb5IGqoUBkugAJN6QMugAJ9cQAoWBAAAABwcm90b2NvbF92ZXJzaW9ucQFN6QNYDQAAAGxpdHRsZV9lbmRpYW5xAohYCgAAAHR5cGVfc2l6ZXNxA31xBChYBQAAAHNob3J0cQVLAlgDAAAAaW50cQZLBFgEAAAAbG9uZ3EHSwR1dS6AAn1xAChYAQAAAGNxAWN0b3JjaC5fdXRpbHMKX3JlYnVpbGRfdGVuc29yX3YyCnECKChYBwAAAHN0b3JhZ2VxA2N0b3JjaApDb21wbGV4RmxvYXRTdG9yYWdlCnEEWAkAAAA2MDAyNTYxNjBxBVgDAAAAY3B1cQZLAU50cQdRSwBLAYVxCEsBhXEJiWNjb2xsZWN0aW9ucwpPcmRlcmVkRGljdApxCilScQt0cQxScQ1YAQAAAHdxDmgCKChoA2N0b3JjaApGbG9hdFN0b3JhZ2UKcQ9YCQAAADY2MjIxMzY5NnEQaAZLAk50cRFRSwBLAoVxEksBhXETiWgKKVJxFHRxFVJxFnUugAJdcQAoWAkAAAA2MDAyNTYxNjBxAVgJAAAANjYyMjEzNjk2cQJlLgEAAAAAAAAAAACAPwAAAEACAAAAAAAAAAAAwD8AAADA",
  ],
  [
    "torch-zip",
    "UEsDBAAACAgAAAAAAAAAAAAAAAAAAAAAAAAQABIAYXJjaGl2ZS9kYXRhLnBrbEZCDgBaWlpaWlpaWlpaWlpaWoACfXEAKFgBAAAAY3EBY3RvcmNoLl91dGlscwpfcmVidWlsZF90ZW5zb3JfdjIKcQIoKFgHAAAAc3RvcmFnZXEDY3RvcmNoCkNvbXBsZXhGbG9hdFN0b3JhZ2UKcQRYAQAAADBxBVgDAAAAY3B1cQZLAXRxB1FLAEsBhXEISwGFcQmJY2NvbGxlY3Rpb25zCk9yZGVyZWREaWN0CnEKKVJxC3RxDFJxDVgBAAAAd3EOaAIoKGgDY3RvcmNoCkZsb2F0U3RvcmFnZQpxD1gBAAAAMXEQaAZLAnRxEVFLAEsChXESSwGFcROJaAopUnEUdHEVUnEWdS5QSwcIJqlraPcAAAD3AAAAUEsDBAAACAgAAAAAAAAAAAAAAAAAAAAAAAAOAA0AYXJjaGl2ZS9kYXRhLzBGQgkAWlpaWlpaWlpaAACAPwAAAEBQSwcIdqU/LggAAAAIAAAAUEsDBAAACAgAAAAAAAAAAAAAAAAAAAAAAAAOADwAYXJjaGl2ZS9kYXRhLzFGQjgAWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWloAAMA/AAAAwFBLBwg6LN/MCAAAAAgAAABQSwMEAAAICAAAAAAAAAAAAAAAAAAAAAAAAA8AOwBhcmNoaXZlL3ZlcnNpb25GQjcAWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWjMKUEsHCNGeZ1UCAAAAAgAAAFBLAQIAAAAACAgAAAAAAAAmqWto9wAAAPcAAAAQAAAAAAAAAAAAAAAAAAAAAABhcmNoaXZlL2RhdGEucGtsUEsBAgAAAAAICAAAAAAAAHalPy4IAAAACAAAAA4AAAAAAAAAAAAAAAAARwEAAGFyY2hpdmUvZGF0YS8wUEsBAgAAAAAICAAAAAAAADos38wIAAAACAAAAA4AAAAAAAAAAAAAAAAAmAEAAGFyY2hpdmUvZGF0YS8xUEsBAgAAAAAICAAAAAAAANGeZ1UCAAAAAgAAAA8AAAAAAAAAAAAAAAAAGAIAAGFyY2hpdmUvdmVyc2lvblBLBgYsAAAAAAAAAB4DLQAAAAAAAAAAAAQAAAAAAAAABAAAAAAAAADzAAAAAAAAAJICAAAAAAAAUEsGBwAAAACFAwAAAAAAAAEAAABQSwUGAAAAAAQABADzAAAAkgIAAAAA",
  ],
] as const

test.each(complex)("%s: a complex tensor is listed, the other tensor is read", (format, base64) => {
  const checkpoint = Checkpoint.ofBytes(Buffer.from(base64, "base64"))
  checkpoint.verify()
  expect(checkpoint.format).toBe(format)
  expect(checkpoint.tensors.c).toMatchObject({ dtype: "complex64", shape: [1] })
  expect([...checkpoint.read("w").data]).toEqual([1.5, -2])
  expect(() => checkpoint.read("c")).toThrow(/values of type complex64 are not supported/)
})

test("ONNX: a complex tensor is listed", () => {
  const tensor = Uint8Array.of(8, 1, 16, 14, 66, 1, 0x63, 74, 8, 0, 0, 128, 63, 0, 0, 0, 64)
  const checkpoint = Checkpoint.ofBytes(Uint8Array.of(8, 10, 58, tensor.length + 2, 42, tensor.length, ...tensor))
  expect(checkpoint.tensors.c).toMatchObject({ dtype: "complex64", shape: [1] })
  expect(() => checkpoint.read("c")).toThrow(/values of type complex64 are not supported/)
})

interface Row {
  readonly dtype: DType.DType
  readonly values: readonly [number, number]
  readonly bytes: Uint8Array
  readonly safetensors: string
  /** NumPy's code; NumPy has no bfloat16. */
  readonly npz?: string
  /** TensorProto.DataType */
  readonly onnx: number
  readonly tfjs?: string
}

const halves = (...bits: number[]): Uint8Array => raw(Uint16Array.from(bits))
const row = (
  dtype: DType.DType,
  values: readonly [number, number],
  bytes: Uint8Array,
  safetensors: string,
  onnx: number,
  npz?: string,
  tfjs?: string,
): Row => ({ dtype, values, bytes, safetensors, onnx, ...(npz && { npz }), ...(tfjs && { tfjs }) })

const rows: readonly Row[] = [
  row("float64", [1.5, -2], raw(Float64Array.of(1.5, -2)), "F64", 11, "f8"),
  row("float32", [1.5, -2], raw(Float32Array.of(1.5, -2)), "F32", 1, "f4", "float32"),
  row("float16", [1.5, -2], halves(0x3e00, 0xc000), "F16", 10, "f2", "float16"),
  row("bfloat16", [1.5, -2], halves(0x3fc0, 0xc000), "BF16", 16),
  row("int64", [-3, 2 ** 40], raw(BigInt64Array.of(-3n, 2n ** 40n)), "I64", 7, "i8"),
  row("int32", [-3, 70_000], raw(Int32Array.of(-3, 70_000)), "I32", 6, "i4", "int32"),
  row("int16", [-3, 300], raw(Int16Array.of(-3, 300)), "I16", 5, "i2"),
  row("int8", [-3, 100], raw(Int8Array.of(-3, 100)), "I8", 3, "i1"),
  row("uint8", [200, 1], Uint8Array.of(200, 1), "U8", 2, "u1"),
  row("bool", [1, 0], Uint8Array.of(1, 0), "BOOL", 9, "b1", "bool"),
  row("uint16", [65_535, 1], raw(Uint16Array.of(65_535, 1)), "U16", 4, "u2"),
  row("uint32", [2 ** 32 - 1, 1], raw(Uint32Array.of(2 ** 32 - 1, 1)), "U32", 12, "u4"),
  row("uint64", [5, 2 ** 40], raw(BigUint64Array.of(5n, 2n ** 40n)), "U64", 13, "u8"),
  row("float8_e4m3fn", [1.5, -2], Uint8Array.of(0x3c, 0xc0), "F8_E4M3", 17),
  row("float8_e5m2", [1.5, -2], Uint8Array.of(0x3e, 0xc0), "F8_E5M2", 19),
]

const found = (checkpoint: Checkpoint.Checkpoint): object => {
  checkpoint.verify()
  return Object.fromEntries(
    Object.values(checkpoint.tensors).map(({ path, dtype }) => [
      path,
      { dtype, values: [...NdArray.toFloat64(checkpoint.read(path)).data] },
    ]),
  )
}
const expected = (some: readonly Row[]): object =>
  Object.fromEntries(some.map(({ dtype, values }) => [dtype, { dtype, values }]))

test("every element type of safetensors", () => {
  const stored = Object.fromEntries(
    rows.map(({ dtype, bytes, safetensors }) => [dtype, { dtype: safetensors, shape: [2], bytes }]),
  )
  expect(found(Checkpoint.ofBytes(file(stored)))).toEqual(expected(rows))
})

test("every element type of NumPy", () => {
  const some = rows.filter(({ npz }) => npz !== undefined)
  const members = some.map(({ dtype, bytes, npz }) => {
    const header = `{'descr': '<${npz}', 'fortran_order': False, 'shape': (2,), }\n`
    const magic = Uint8Array.of(0x93, ...Buffer.from("NUMPY"), 1, 0, header.length, 0)
    return { name: `${dtype}.npy`, bytes: Buffer.concat([magic, Buffer.from(header), bytes]) }
  })
  expect(found(Checkpoint.ofBytes(Buffer.concat([...ZipWriter.encode(members)])))).toEqual(expected(some))
})

test("every element type of ONNX", () => {
  const field = (number: number, content: Uint8Array): Buffer =>
    Buffer.concat([Uint8Array.of((number << 3) | 2, (content.length & 0x7f) | 0x80, content.length >> 7), content])
  const tensors = rows.map(({ dtype, bytes, onnx }) =>
    Buffer.concat([Uint8Array.of(8, 2, 16, onnx), field(8, Buffer.from(dtype)), field(9, bytes)]),
  )
  const graph = Buffer.concat(tensors.map((tensor) => field(5, tensor)))
  const model = Buffer.concat([Uint8Array.of(8, 10), field(7, graph)])
  expect(found(Checkpoint.ofBytes(model))).toEqual(expected(rows))
})

test("every element type of TensorFlow.js", async () => {
  const some = rows.filter(({ tfjs }) => tfjs !== undefined)
  const here = mkdtempSync(join(tmpdir(), "adafm-dtypes-"))
  writeFileSync(join(here, "shard"), Buffer.concat(some.map(({ bytes }) => bytes)))
  const weights = some.map(({ dtype, tfjs }) => ({ name: dtype, shape: [2], dtype: tfjs }))
  const format = "graph-model"
  writeFileSync(join(here, "model.json"), JSON.stringify({ format, weightsManifest: [{ paths: ["shard"], weights }] }))
  expect(await Failure.orThrow(Checkpoint.use(join(here, "model.json"), found))).toEqual(expected(some))
})

test("every array type is written to PyTorch's archive and read back", () => {
  const some = rows.filter(({ dtype }) => dtype in NdArray.bytesPerElement)
  const tree = Object.fromEntries(
    some.map(({ dtype, bytes }) => [dtype, NdArray.fromBytes(dtype as NdArray.DType, [2], bytes)]),
  )
  expect(found(Checkpoint.ofBytes(Buffer.concat([...TorchWriter.encode(tree)])))).toEqual(expected(some))
})

test("element types of recent PyTorch, which it saves as bytes with the name of the type", () => {
  const text = (value: string): Buffer =>
    Buffer.concat([Uint8Array.of(0x58, value.length, 0, 0, 0), Buffer.from(value)])
  const global = (module: string, name: string): Buffer => Buffer.from(`c${module}\n${name}\n`)
  const one = ({ dtype, bytes }: Row, key: number): Buffer =>
    Buffer.concat([
      text(dtype),
      global("torch._utils", "_rebuild_tensor_v3"),
      Buffer.from("(("),
      text("storage"),
      global("torch.storage", "UntypedStorage"),
      text(String(key)),
      text("cpu"),
      Uint8Array.of(0x4b, bytes.length, 0x74, 0x51), // BININT1, TUPLE, BINPERSID
      Uint8Array.of(0x4b, 0, 0x4b, 2, 0x85, 0x4b, 1, 0x85, 0x89), // offset 0, (2,), (1,), False
      global("collections", "OrderedDict"),
      Buffer.from(")R"),
      global("torch", dtype),
      Buffer.from("tR"),
    ])
  const some = rows.filter(({ dtype }) => !(dtype in NdArray.bytesPerElement))
  const pickle = Buffer.concat([Uint8Array.of(0x80, 2, 0x7d, 0x28), ...some.map(one), Buffer.from("u.")])
  const members = [
    { name: "a/data.pkl", bytes: pickle },
    ...some.map(({ bytes }, key) => ({ name: `a/data/${key}`, bytes })),
  ]
  expect(found(Checkpoint.ofBytes(Buffer.concat([...ZipWriter.encode(members)])))).toEqual(expected(some))
})
