/** Element types that arrays do not have: read exactly where something wider holds them, listed where nothing does. */
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Leaf, NdArray, Safetensors } from "@adafm/core"
import { Gan } from "@adafm/gan"
import * as E from "fp-ts/lib/Either.js"
import { expect, test } from "vitest"
import * as Checkpoint from "../src/Checkpoint.ts"
import * as DType from "../src/DType.ts"
import * as Import from "../src/Import.ts"
import * as Inspect from "../src/Inspect.ts"

const orThrow = <A>(either: E.Either<Failure.Failure, A>): A => {
  if (E.isLeft(either)) throw new Error(JSON.stringify(either.left))
  return either.right
}

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
  const { tensors, problems } = orThrow(await Inspect.inspect(path)())
  expect(Object.fromEntries(tensors.map(({ path, dtype, sum, absMax }) => [path, [dtype, sum, absMax]]))).toEqual({
    u16: ["uint16", 65536, 65535],
    u32: ["uint32", 4294967297, 4294967295],
    u64: ["uint64", { integer: String(2n ** 60n) }, { integer: String(2n ** 60n) }],
    huge: ["uint64", null, null],
    c: ["complex64", null, null],
    e4m3: ["float8_e4m3fn", { float: "nan" }, { float: "nan" }],
    e5m2: ["float8_e5m2", { float: "inf" }, { float: "inf" }],
  })
  expect(problems).toEqual([expect.stringContaining("huge is listed"), expect.stringContaining("c is listed")])
  const checkpoint = Checkpoint.ofBytes(file(exotic))
  expect([...checkpoint.read("e4m3").data]).toEqual([448, 2 ** -9, Number.NaN])
  expect([...checkpoint.read("e5m2").data]).toEqual([57344, -1, Number.POSITIVE_INFINITY])
  expect(() => checkpoint.read("c")).toThrow(Failure.Raised)
  // the sizes are checked all the same
  expect(() => Checkpoint.ofBytes(file(exotic).subarray(0, -1))).toThrow(/takes|end at byte/)
})

test("8-bit floats of both kinds are monotonous, symmetric and halve where the exponent falls by one", () => {
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

test("a complex tensor beside the networks is ignored, one that is needed is refused", async () => {
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
  const imported = orThrow(
    await Import.importModel({ files: [join(here, "good.safetensors")], out: join(here, "a") })(),
  )
  expect(imported.ignored).toEqual(["spectrum/c"])
  const bias = { dtype: "C64", shape: [3], bytes: new Uint8Array(24) }
  writeFileSync(join(here, "bad.safetensors"), file({ ...stored, "generator/conv_img.bias": bias }))
  expect(await Import.importModel({ files: [join(here, "bad.safetensors")], out: join(here, "b") })()).toMatchObject({
    left: { _tag: "UnsupportedDType", path: "generator/conv_img.bias" },
  })
  expect(
    orThrow(await Safetensors.read(join(here, "a/generator.safetensors"))()).tensors["conv_img.bias"]?.shape,
  ).toEqual([3])
})
