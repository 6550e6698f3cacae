/** NumPy's `.npz`: a zip file of `.npy` arrays. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
import { Failure, Flat, NdArray } from "@adafm/core"
import * as ByteSource from "../ByteSource.ts"
import * as Contents from "../Contents.ts"
import * as DType from "../DType.ts"
import * as TensorView from "../TensorView.ts"
import * as ZipReader from "../zip/ZipReader.ts"

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

/** Statistics of images, as `adafm features` writes them, say beside the arrays how they came about. */
const PROVENANCE = "provenance.json"

const arrays = ({ members }: ZipReader.Directory): readonly ZipReader.Member[] =>
  [...members.values()].filter(({ name }) => name !== PROVENANCE)

export const isNpz = (directory: ZipReader.Directory): boolean =>
  arrays(directory).length > 0 && arrays(directory).every(({ name }) => name.endsWith(".npy"))

const array = (source: ByteSource.Source, path: string): TensorView.View => {
  const fail = (message: string): never => Failure.raise("BadTensor", message, { path, offset: source.at })
  const head = source.read(0, Math.min(12, source.size))
  if (head.length < 12 || String.fromCharCode(...head.subarray(1, 6)) !== "NUMPY" || head[0] !== 0x93)
    return fail("not an .npy array")
  const data = new DataView(head.buffer)
  const wide = head[6]! >= 2
  if (head[6]! < 1 || head[6]! > 3) return fail(`version ${head[6]} of the .npy format`)
  const length = wide ? data.getUint32(8, true) : data.getUint16(8, true)
  const start = wide ? 12 : 10
  if (length > MAX_HEADER) return fail(`a header of ${length} bytes, the limit is ${MAX_HEADER}`)
  const header = new TextDecoder().decode(source.read(start, length))
  const descr = /'descr'\s*:\s*'([<>|=])([a-zA-Z]\d+(?:\[\w+\])?)'/.exec(header)
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)
  const sizes = /'shape'\s*:\s*\(([\d\s,L]*)\)/.exec(header)
  if (descr === null && /'descr'\s*:\s*('\|O|\[)/.test(header))
    return fail("holds Python objects or records; only plain arrays are read")
  if (descr === null || order === null || sizes === null) return fail(`malformed header ${header.trim().slice(0, 120)}`)
  const dtype = dtypes[descr[2]!]
  if (dtype === undefined)
    return Failure.raise("UnsupportedDType", `NumPy dtype ${descr[1]}${descr[2]} has no counterpart here`, { path })
  const shape = sizes[1]!
    .split(",")
    .map((s) => s.trim().replace("L", ""))
    .filter((s) => s !== "")
    .map(Number)
  const elements = NdArray.sizeOf(shape)
  const bytes = elements * DType.bytesPerElement(dtype)
  if (start + length + bytes !== source.size)
    return fail(
      `shape [${shape.join(", ")}] of ${dtype} takes ${bytes} bytes, the member has ${source.size - start - length}`,
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

export const read = (directory: ZipReader.Directory): Contents.Contents => {
  const views = Flat.empty<TensorView.View>()
  for (const member of arrays(directory)) {
    const path = member.name.replace(/\.npy$/, "")
    Contents.put(views, path, array(member.content, path))
  }
  return {
    format: "npz",
    views,
    scalars: {},
    metadata: {},
    problems: directory.problems,
    verify: () => directory.members.forEach(ZipReader.verify),
  }
}
