import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as E from "fp-ts/lib/Either.js"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import * as Safetensors from "../src/files/Safetensors.ts"
import * as NdArray from "../src/NdArray.ts"

const tensors = {
  "b.weight": NdArray.float32([2, 2], [1, -2, 3.5, 0]),
  "a.half": NdArray.make("float16", [3], Uint16Array.of(1, 2, 3)),
  empty: NdArray.zeros("float32", [0, 4]),
  scalar: NdArray.make("int64", [], BigInt64Array.of(-(2n ** 60n))),
}

const bytesOf = (chunks: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(chunks))

/** A file with the given header and `dataBytes` bytes of data. */
const crafted = (header: unknown, dataBytes: number, length?: number): Uint8Array => {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header))
  const head = new Uint8Array(8)
  new DataView(head.buffer).setBigUint64(0, BigInt(length ?? json.length), true)
  return bytesOf([head, json, new Uint8Array(dataBytes)])
}

const one = { dtype: "F32", shape: [1], data_offsets: [0, 4] }

describe("safetensors", () => {
  let folder = ""
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "adafm-safetensors-"))
  })
  afterEach(() => rm(folder, { recursive: true }))

  test("reads back what it wrote, with metadata and odd types", async () => {
    const file = join(folder, "deep", "model.safetensors")
    expect(await Safetensors.write(file, tensors, { config: "{}" })()).toEqual(E.right(undefined))
    const read = await Safetensors.read(file)()
    expect(read).toMatchObject({ right: { metadata: { config: "{}" } } })
    for (const [path, array] of Object.entries(tensors))
      expect(E.isRight(read) && read.right.tensors[path]).toEqual(array)
    const header = await Safetensors.readHeader(file)()
    expect(E.isRight(header) && header.right.entries["b.weight"]).toMatchObject({ dtype: "float32", shape: [2, 2] })
    expect(await readdir(join(folder, "deep"))).toEqual(["model.safetensors"])
  })

  test("aligns the data to eight bytes", () => {
    const bytes = bytesOf(Safetensors.encode(tensors))
    expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0)
  })

  test("names the file of a failure", async () => {
    const file = join(folder, "broken.safetensors")
    await writeFile(file, crafted({ w: one }, 3))
    for (const read of [Safetensors.read, Safetensors.readHeader])
      expect(await read(file)()).toMatchObject({ left: { _tag: "BadTensor", file, path: "w" } })
    expect(await Safetensors.read(join(folder, "absent"))()).toMatchObject({ left: { _tag: "System.ENOENT" } })
  })
})

describe("the digests of a file", () => {
  const named = { ...tensors, __proto__x: NdArray.float32([1], [5]) }
  const whole = bytesOf(Safetensors.encode(named, { step: "100", config: "{}" }))

  test("make every flipped bit known, in the header, the metadata and the tensors", () => {
    const passed: number[] = []
    for (let bit = 0; bit < 8 * whole.length; bit++) {
      const flipped = Uint8Array.from(whole)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      if (E.isRight(Safetensors.parse(flipped))) passed.push(bit)
    }
    expect(passed).toEqual([])
  })

  test("name the damaged tensor, and are no part of the metadata", () => {
    expect(Safetensors.parse(whole)).toMatchObject({
      right: { metadata: { step: "100", config: "{}" }, isChecked: true },
    })
    const damaged = Uint8Array.from(whole)
    damaged[damaged.length - 1]! ^= 1
    expect(Safetensors.parse(damaged)).toMatchObject({ left: { _tag: "BadChecksum", path: "scalar" } })
  })

  test("are not required: a file without them is read, and says so", () => {
    expect(Safetensors.parse(crafted({ w: one }, 4))).toMatchObject({ right: { isChecked: false } })
  })

  test("are the same if the tensors are made in pieces", () => {
    const halves = (path: string): readonly Uint8Array[] => {
      const all = NdArray.toBytes(named[path as keyof typeof named])
      return [all.subarray(0, 3), all.subarray(3)]
    }
    expect(bytesOf([...Safetensors.encodeInPieces(named, halves, { step: "100", config: "{}" })])).toEqual(whole)
  })
})

test.each([
  { name: "no bytes", bytes: new Uint8Array(0), tag: "TruncatedFile" },
  { name: "a header longer than the file", bytes: crafted({ w: one }, 4, 10_000), tag: "BadHeader" },
  { name: "a header of 2^63 bytes", bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x80, 1), tag: "BadHeader" },
  { name: "a header that is not JSON", bytes: crafted("{", 0), tag: "BadHeader" },
  { name: "a header that is a list", bytes: crafted([], 0), tag: "BadHeader" },
  { name: "a hole before the data", bytes: crafted({ w: { ...one, data_offsets: [4, 8] } }, 8), tag: "BadTensor" },
  { name: "overlapping tensors", bytes: crafted({ a: one, b: one }, 4), tag: "BadTensor" },
  { name: "bytes after the last tensor", bytes: crafted({ w: one }, 9), tag: "TruncatedFile" },
  { name: "a shape that does not fit its bytes", bytes: crafted({ w: { ...one, shape: [2] } }, 4), tag: "BadTensor" },
  { name: "a negative size", bytes: crafted({ w: { ...one, shape: [-1] } }, 4), tag: "BadTensor" },
  { name: "an unknown type", bytes: crafted({ w: { ...one, dtype: "F8" } }, 4), tag: "BadTensor" },
  { name: "metadata that is not text", bytes: crafted({ __metadata__: { a: 1 } }, 0), tag: "BadHeader" },
])("a file with $name is refused", ({ bytes, tag }) => {
  expect(Safetensors.parse(bytes)).toMatchObject({ left: { _tag: tag } })
})
