/** TensorFlow checkpoints, assembled as TensorFlow's `BundleWriter` and LevelDB's table builder write them. */
import { Failure, NdArray } from "@adafm/core"
import { expect, test } from "vitest"
import * as Checkpoint from "../src/Checkpoint.ts"
import * as Crc32c from "../src/formats/Crc32c.ts"
import * as Snappy from "../src/formats/Snappy.ts"
import * as Bundle from "./tensorBundle.ts"

const values = (n: number, begin: number): Float32Array => Float32Array.from({ length: n }, (_, i) => begin + i / 8)

/** As `tf.train.Checkpoint(generator=…)` names them, more than one block's restart interval of 16 keys. */
const tensors = Object.fromEntries(
  Array.from({ length: 40 }, (_, k) => [
    `generator/layer_with_weights-${k}/kernel/.ATTRIBUTES/VARIABLE_VALUE`,
    NdArray.float32([2, 3], values(6, k)),
  ]),
)
const whole = { ...tensors, "save_counter/.ATTRIBUTES/VARIABLE_VALUE": NdArray.make("int64", [], BigInt64Array.of(7n)) }

const read = ({ index, data }: Pick<Bundle.Bundle, "index" | "data">): Checkpoint.Checkpoint =>
  Checkpoint.ofBytes(index, "ckpt-1.index", { "ckpt-1.data-00000-of-00001": data })

test("CRC-32C is that of RFC 3720", () => {
  expect(Crc32c.of(new Uint8Array(32))).toBe(0x8a9136aa)
  expect(Crc32c.of(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
  expect(Crc32c.of(new TextEncoder().encode("123456789"))).toBe(0xe3069283)
})

test.each([
  ["one block", { blockSize: 262_144, compress: false }],
  ["many blocks", { blockSize: 200, compress: false }],
  ["many blocks of Snappy", { blockSize: 400, compress: true }],
])("every tensor is read from %s", (_, options) => {
  const checkpoint = read(Bundle.encode(whole, options))
  checkpoint.verify()
  expect(checkpoint.format).toBe("tf-checkpoint")
  expect(Object.keys(checkpoint.tensors)).toHaveLength(41)
  expect(checkpoint.read("generator/layer_with_weights-12/kernel")).toEqual(NdArray.float32([2, 3], values(6, 12)))
  expect(checkpoint.read("save_counter")).toEqual(whole["save_counter/.ATTRIBUTES/VARIABLE_VALUE"])
  // the graph of objects is text, not a tensor
  expect(checkpoint.problems).toEqual([])
})

const tagOf = (f: () => unknown): string => {
  try {
    f()
    return "read"
  } catch (thrown) {
    if (!(thrown instanceof Failure.Raised)) throw thrown
    return thrown.failure._tag
  }
}

test("a changed byte of the index or of the data is noticed, wherever it is", () => {
  const bundle = Bundle.encode(whole, { blockSize: 800, compress: true })
  // the footer of 48 bytes has no checksum
  const length = bundle.index.length - 48
  const tags = Array.from({ length }, (_, at) =>
    tagOf(() => read({ ...bundle, index: bundle.index.with(at, bundle.index[at]! ^ 0x10) }).verify()),
  )
  expect(tags.filter((tag) => tag === "BadChecksum")).toHaveLength(length - bundle.unread)
  expect(tags.filter((tag) => tag === "read")).toHaveLength(bundle.unread)
  for (let at = 0; at < bundle.data.length - Bundle.graphBytes; at++)
    expect(tagOf(() => read({ ...bundle, data: bundle.data.with(at, bundle.data[at]! ^ 1) }).verify())).toBe(
      "BadChecksum",
    )
})

test("data that are missing, cut or big-endian are refused", () => {
  const bundle = Bundle.encode(whole, { blockSize: 262_144, compress: false })
  expect(tagOf(() => Checkpoint.ofBytes(bundle.index, "ckpt-1.index", {}))).toBe("MissingShard")
  expect(tagOf(() => read({ ...bundle, data: bundle.data.subarray(0, 100) }))).toBe("TruncatedFile")
  const big = Bundle.encode(whole, { blockSize: 262_144, compress: false, bigEndian: true })
  expect(tagOf(() => read(big))).toBe("BadTable")
})

test.each([
  // "abc", then a copy of 9 bytes from 3 before: overlapping, as runs are written
  ["a copy that overlaps itself", [12, 8, 97, 98, 99, 0x15, 3], "abcabcabcabc"],
  ["a literal with its length in one byte", [3, 60 << 2, 2, 120, 121, 122], "xyz"],
  ["a copy with two bytes of offset", [8, 12, 97, 98, 99, 100, 14, 4, 0], "abcdabcd"],
  ["a copy with four bytes of offset", [8, 12, 97, 98, 99, 100, 15, 4, 0, 0, 0], "abcdabcd"],
])("Snappy: %s", (_, bytes, text) => {
  expect(new TextDecoder().decode(Snappy.inflate(Uint8Array.from(bytes)))).toBe(text)
})

test.each([
  ["a copy from before the beginning", [4, 0, 97, 14, 9, 0]],
  ["fewer bytes than it says", [9, 0, 97]],
  ["more bytes than it says", [1, 4, 97, 98]],
  ["a size without an end", [255, 255, 255, 255, 255, 255]],
  ["2 GB", [255, 255, 255, 255, 7]],
  ["nothing", []],
])("Snappy: %s is refused", (_, bytes) => {
  expect(tagOf(() => Snappy.inflate(Uint8Array.from(bytes)))).toBe("BadTable")
})
