/**
 * Element types of files. A type that `NdArray` lacks is read as a wider one that holds every value exactly. Types without a
 * wider one (complex numbers, uint64 beyond 2^63) are listed by name and shape; only reading their values is an error.
 */
import { Failure, NdArray } from "@adafm/core"

export type Foreign =
  | "uint16"
  | "uint32"
  | "uint64"
  | "float8_e4m3fn"
  | "float8_e5m2"
  | "complex32"
  | "complex64"
  | "complex128"
export type DType = NdArray.DType | Foreign

const foreign: Readonly<Record<Foreign, { readonly bytes: number; readonly as?: NdArray.DType }>> = {
  uint16: { bytes: 2, as: "int32" },
  uint32: { bytes: 4, as: "int64" },
  uint64: { bytes: 8, as: "int64" },
  float8_e4m3fn: { bytes: 1, as: "float32" },
  float8_e5m2: { bytes: 1, as: "float32" },
  complex32: { bytes: 4 },
  complex64: { bytes: 8 },
  complex128: { bytes: 16 },
}

const isOurs = (dtype: DType): dtype is NdArray.DType => dtype in NdArray.bytesPerElement

export const bytesPerElement = (dtype: DType): number =>
  isOurs(dtype) ? NdArray.bytesPerElement[dtype] : foreign[dtype].bytes

/** The type of array that such a tensor is read as; undefined if there is none. */
export const readAs = (dtype: DType): NdArray.DType | undefined => (isOurs(dtype) ? dtype : foreign[dtype].as)

/** The message of an `UnsupportedDType`. */
export const unsupported = (dtype: string): string => `values of type ${dtype} are not supported`

/** Open Compute Project, "8-bit floating point specification" (2023): e4m3fn has no infinities, e5m2 is half a float16. */
const fromE4m3 = (bits: number): number => {
  const sign = bits & 0x80 ? -1 : 1
  const [exponent, fraction] = [(bits >> 3) & 0xf, bits & 7]
  if (exponent === 15 && fraction === 7) return Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -9 : sign * (1 + fraction / 8) * 2 ** (exponent - 7)
}
const fromE5m2 = (bits: number): number => {
  const sign = bits & 0x80 ? -1 : 1
  const [exponent, fraction] = [(bits >> 2) & 0x1f, bits & 3]
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -16 : sign * (1 + fraction / 4) * 2 ** (exponent - 15)
}

/** Little-endian bytes as an array. */
export const decode = (dtype: DType, shape: readonly number[], bytes: Uint8Array): NdArray.NdArray => {
  if (isOurs(dtype)) return NdArray.fromBytes(dtype, shape, bytes)
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const elements = NdArray.sizeOf(shape)
  switch (dtype) {
    case "uint16":
      return NdArray.make(
        "int32",
        shape,
        Int32Array.from({ length: elements }, (_, i) => data.getUint16(2 * i, true)),
      )
    case "uint32": {
      const out = NdArray.zeros("int64", shape)
      for (let i = 0; i < elements; i++) out.data[i] = BigInt(data.getUint32(4 * i, true))
      return out
    }
    case "uint64": {
      const out = NdArray.fromBytes("int64", shape, bytes)
      return out.data.some((value) => value < 0n)
        ? Failure.raise("UnsupportedDType", "a uint64 value beyond 2^63 is not supported")
        : out
    }
    case "float8_e4m3fn":
      return NdArray.float32(shape, Float32Array.from(bytes.subarray(0, elements), fromE4m3))
    case "float8_e5m2":
      return NdArray.float32(shape, Float32Array.from(bytes.subarray(0, elements), fromE5m2))
    default:
      return Failure.raise("UnsupportedDType", unsupported(dtype))
  }
}
