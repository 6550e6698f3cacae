import { expect, test } from "vitest"
import * as Layout from "../src/Layout.ts"
import * as NdArray from "../src/NdArray.ts"

const counting = (shape: readonly number[]) =>
  NdArray.float32(
    shape,
    Array.from({ length: NdArray.sizeOf(shape) }, (_, i) => i),
  )

test("an array of the wrong length is refused", () => {
  expect(() => NdArray.float32([2, 3], [1, 2])).toThrow("holds 6 elements, not 2")
})

test("permute moves axes", () => {
  const a = NdArray.permute(counting([2, 3]), [1, 0])
  expect(a.shape).toEqual([3, 2])
  expect([...a.data]).toEqual([0, 3, 1, 4, 2, 5])
})

test("gather reads broadcast and reversed views", () => {
  const { data } = counting([4])
  expect([...NdArray.gather("float32", data, [2, 4], [0, 1]).data]).toEqual([0, 1, 2, 3, 0, 1, 2, 3])
  expect([...NdArray.gather("float32", data, [4], [-1], 3).data]).toEqual([3, 2, 1, 0])
})

/** IEEE 754 binary16: largest 65504, smallest normal 2⁻¹⁴, smallest subnormal 2⁻²⁴; ties to even. */
test.each([
  [0, 0x0000],
  [-0, 0x8000],
  [1, 0x3c00],
  [-2, 0xc000],
  [65504, 0x7bff],
  [65520, 0x7c00],
  [2 ** -14, 0x0400],
  [2 ** -24, 0x0001],
  [2 ** -25, 0x0000],
  [3 * 2 ** -25, 0x0002],
  [1 + 2 ** -11, 0x3c00],
  [1 + 3 * 2 ** -11, 0x3c02],
  [Number.POSITIVE_INFINITY, 0x7c00],
])("%d as half precision is the bits %d", (value, bits) => {
  expect(NdArray.toFloat16(NdArray.float32([1], [value])).data[0]).toBe(bits)
})

test("every half-precision number survives the conversion to float32 and back", () => {
  const bits = Uint16Array.from({ length: 0x10000 }, (_, i) => i)
  const back = NdArray.toFloat16(NdArray.toFloat32(NdArray.make("float16", [0x10000], bits))).data
  const isNan = (b: number): boolean => (b & 0x7c00) === 0x7c00 && (b & 0x3ff) !== 0
  for (const b of bits) if (!isNan(b)) expect(back[b]).toBe(b)
  expect(isNan(back[0x7e00]!)).toBe(true)
})

test("bfloat16 is the upper half of a float32", () => {
  const { data } = NdArray.toFloat32(NdArray.make("bfloat16", [3], Uint16Array.of(0x3f80, 0xc040, 0x0001)))
  expect([...data]).toEqual([1, -3, 2 ** -133])
})

test("aligned bytes are shared, others copied", () => {
  const bytes = new Uint8Array(12)
  new DataView(bytes.buffer).setFloat32(4, 1.5, true)
  new DataView(bytes.buffer).setFloat32(5, 2.5, true)
  expect(NdArray.fromBytes("float32", [1], bytes.subarray(4, 8)).data.buffer).toBe(bytes.buffer)
  expect(NdArray.fromBytes("float32", [1], bytes.subarray(5, 9)).data[0]).toBe(2.5)
})

test("the conversions to TensorFlow.js's layout and back are inverse to each other", () => {
  const filter = counting([2, 3, 1, 2])
  expect(Layout.toCompute(filter).shape).toEqual([1, 2, 3, 2])
  expect(Layout.computeShape(filter.shape)).toEqual([1, 2, 3, 2])
  expect(Layout.toFile(Layout.toCompute(filter))).toEqual(filter)
  const images = counting([1, 3, 2, 2])
  expect([...Layout.imagesToCompute(images).data].slice(0, 3)).toEqual([0, 4, 8])
  expect(Layout.imagesToFile(Layout.imagesToCompute(images))).toEqual(images)
  const weight = counting([2, 3])
  expect(Layout.toCompute(weight)).toBe(weight)
})
