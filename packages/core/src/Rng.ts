/**
 * Random numbers without state: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011). A draw depends on (seed, purpose, step) only, so a resumed run equals an uninterrupted one and two
 * purposes never share a stream.
 *
 * The generator's 64-bit key is the first 64 bits of SHA-256(seed, purpose); its 128-bit counter is (block, step).
 */
import * as Sha256 from "#platform/Sha256"
import * as NdArray from "./NdArray.ts"

/** Identifies a stream: equal keys give equal numbers. */
export interface Key {
  readonly words: readonly [number, number]
  readonly step: number
}

/** @param step counts iterations, images, … within one purpose; anything but a whole number from 0 throws */
export const at = (seed: number, purpose: string, step = 0): Key => {
  if (!Number.isSafeInteger(step) || step < 0)
    throw new Error(`the step of a random stream must be a whole number from 0, got ${step}`)
  const { buffer, byteOffset } = Sha256.make().update(`${seed}\0${purpose}`).bytes()
  const hash = new DataView(buffer, byteOffset)
  return { words: [hash.getUint32(0, true), hash.getUint32(4, true)], step }
}

/** High 32 bits of the 64-bit product of two unsigned 32-bit numbers. */
const mulHigh = (a: number, b: number): number => {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16]
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const carry = aLow * bHigh + (middle & 0xffff)
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0
}

/** Ten rounds of Philox4x32 on `counter`, in place. */
export const philox = (counter: Uint32Array, key: readonly [number, number]): void => {
  let [c0, c1, c2, c3] = [counter[0]!, counter[1]!, counter[2]!, counter[3]!]
  let [k0, k1] = key
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = [mulHigh(0xd2511f53, c0), Math.imul(0xd2511f53, c0)]
    const [high1, low1] = [mulHigh(0xcd9e8d57, c2), Math.imul(0xcd9e8d57, c2)]
    c0 = (high1 ^ c1 ^ k0) >>> 0
    c2 = (high0 ^ c3 ^ k1) >>> 0
    c1 = low1 >>> 0
    c3 = low0 >>> 0
    k0 = (k0 + 0x9e3779b9) >>> 0
    k1 = (k1 + 0xbb67ae85) >>> 0
  }
  counter[0] = c0
  counter[1] = c1
  counter[2] = c2
  counter[3] = c3
}

/** The first `n` 32-bit words of a stream. */
export const bits = ({ words, step }: Key, n: number): Uint32Array => {
  const out = new Uint32Array(Math.ceil(n / 4) * 4)
  const counter = new Uint32Array(4)
  for (let block = 0; block * 4 < n; block++) {
    counter[0] = block
    counter[1] = Math.floor(block / 0x100000000)
    counter[2] = step
    counter[3] = Math.floor(step / 0x100000000)
    philox(counter, words)
    out.set(counter, block * 4)
  }
  return out.subarray(0, n)
}

/** Uniform on `[low, high)`; every number has 24 random bits. */
export const uniform = (key: Key, shape: readonly number[], low = 0, high = 1): NdArray.NdArray<"float32"> => {
  const words = bits(key, NdArray.sizeOf(shape))
  const data = new Float32Array(words.length)
  for (let i = 0; i < data.length; i++) data[i] = low + (high - low) * (words[i]! >>> 8) * 2 ** -24
  return NdArray.float32(shape, data)
}

/** Normal with the given mean and standard deviation (Box-Muller in float64, two words per pair of numbers). */
export const normal = (key: Key, shape: readonly number[], mean = 0, deviation = 1): NdArray.NdArray<"float32"> => {
  const size = NdArray.sizeOf(shape)
  const words = bits(key, size + (size % 2))
  const data = new Float32Array(size)
  for (let i = 0; i < size; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log((words[i]! + 1) * 2 ** -32))
    const angle = 2 * Math.PI * words[i + 1]! * 2 ** -32
    data[i] = mean + radius * Math.cos(angle)
    if (i + 1 < size) data[i + 1] = mean + radius * Math.sin(angle)
  }
  return NdArray.float32(shape, data)
}

/** Two words as 53 random bits in [0, 1). */
const fraction = (words: Uint32Array, i: number): number =>
  ((words[2 * i]! >>> 5) * 0x4000000 + (words[2 * i + 1]! >>> 6)) * 2 ** -53

/** Whole numbers, uniform on `low … high - 1`. */
export const int = (key: Key, shape: readonly number[], low: number, high: number): NdArray.NdArray<"int32"> => {
  const size = NdArray.sizeOf(shape)
  const words = bits(key, 2 * size)
  return NdArray.int32(
    shape,
    Int32Array.from({ length: size }, (_, i) => low + Math.floor((high - low) * fraction(words, i))),
  )
}

/** A uniform permutation of `0 … n - 1` (Fisher-Yates). */
export const permutation = (key: Key, n: number): Int32Array => {
  const words = bits(key, 2 * n)
  const order = Int32Array.from({ length: n }, (_, i) => i)
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor((i + 1) * fraction(words, i))
    const swapped = order[i]!
    order[i] = order[j]!
    order[j] = swapped
  }
  return order
}
