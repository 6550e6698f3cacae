/**
 * NumPy's `.npy`: a header of text, then the elements of one array.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { Bytes, Failure, NdArray } from "@adafm/core"
import * as ByteSource from "../ByteSource.ts"
import * as DType from "../DType.ts"
import * as TensorView from "../TensorView.ts"

const MAGIC = "\x93NUMPY"

/** Bytes of an array's header; NumPy writes 118. */
const MAX_HEADER = 1 << 16

const dtypes: Readonly<Record<string, DType.DType>> = {
  f8: "float64",
  f4: "float32",
  f2: "float16",
  i8: "int64",
  i4: "int32",
  i2: "int16",
  i1: "int8",
  u8: "uint64",
  u4: "uint32",
  u2: "uint16",
  u1: "uint8",
  c8: "complex64",
  c16: "complex128",
  b1: "bool",
}

/** The array of a whole file, in C or Fortran order. @param path the array's name, for error messages */
export const view = (source: ByteSource.Source, path: string): TensorView.View => {
  const fail = (message: string): never => Failure.raise("BadTensor", message, { path, offset: source.at })
  const head = source.read(0, Math.min(12, source.size))
  if (head.length < 12 || Bytes.toLatin1(head.subarray(0, 6)) !== MAGIC)
    return fail("not an .npy array: it does not begin with \\x93NUMPY")
  const data = new DataView(head.buffer)
  const version = head[6]!
  if (version < 1 || version > 3) return fail(`version ${version} of the .npy format; versions 1 to 3 are supported`)
  const length = version >= 2 ? data.getUint32(8, true) : data.getUint16(8, true)
  const start = version >= 2 ? 12 : 10
  if (length > MAX_HEADER) return fail(`a header of ${length} bytes; the limit is ${MAX_HEADER}`)
  const header = new TextDecoder().decode(source.read(start, length))
  const descr = /'descr'\s*:\s*'([<>|=])([a-zA-Z]\d+(?:\[\w+\])?)'/.exec(header)
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)
  const sizes = /'shape'\s*:\s*\(([\d\s,L]*)\)/.exec(header)
  if (descr === null && /'descr'\s*:\s*('\|O|\[)/.test(header))
    return fail("the array holds Python objects or records; only arrays of numbers are supported")
  if (descr === null || order === null || sizes === null)
    return fail(`a malformed header: ${header.trim().slice(0, 120)}`)
  const dtype = dtypes[descr[2]!]
  if (dtype === undefined)
    return Failure.raise("UnsupportedDType", `NumPy dtype ${descr[1]}${descr[2]} is not supported`, { path })
  const shape = sizes[1]!
    .split(",")
    .map((size) => size.trim().replace("L", ""))
    .filter((size) => size !== "")
    .map(Number)
  const elements = NdArray.sizeOf(shape)
  const bytes = elements * DType.bytesPerElement(dtype)
  if (start + length + bytes !== source.size)
    return fail(
      `shape [${shape.join(", ")}] of ${dtype} takes ${bytes} bytes, ${source.size - start - length} follow the header`,
    )
  const storage: TensorView.Storage = {
    bytes: ByteSource.slice(source, start + length, bytes),
    dtype,
    length: elements,
    bigEndian: descr[1] === ">",
    key: path,
  }
  const strides =
    order[1] === "True" ? TensorView.rowMajor(shape.toReversed()).toReversed() : TensorView.rowMajor(shape)
  return TensorView.make(storage, 0, shape, strides, { path })
}

/** Version 1.0 of the format; the data begin at a multiple of 64 bytes. */
export const encode = ({ shape, data }: NdArray.NdArray<"float64">): Uint8Array => {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ")
  const text = `{'descr': '<f8', 'fortran_order': False, 'shape': (${sizes}), }`
  const header = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11, " ")}\n`
  return Bytes.concat([
    Bytes.fromLatin1(MAGIC),
    Uint8Array.of(1, 0, header.length & 255, header.length >> 8),
    Bytes.fromLatin1(header),
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  ])
}
