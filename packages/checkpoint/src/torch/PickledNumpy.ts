/** NumPy's values in a pickle: scalars (best scores) and arrays (histories, the state of a random generator). */
import { Failure } from "@adafm/core"
import * as ByteSource from "../ByteSource.ts"
import type * as DType from "../DType.ts"
import * as TensorView from "../TensorView.ts"
import * as PickleValue from "./PickleValue.ts"

type Args = readonly PickleValue.Value[]

const bad: (message: string, offset: number) => never = (message, offset) =>
  Failure.raise("BadPickle", message, { offset })

type Decode = (data: DataView, little: boolean) => PickleValue.Value

const integer = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value)

/** A map, not a record: a code such as `constructor` from a file must not be found. */
const kinds: ReadonlyMap<string, { readonly dtype: DType.DType; readonly decode: Decode }> = new Map([
  ["f8", { dtype: "float64", decode: (d: DataView, le: boolean) => PickleValue.float(d.getFloat64(0, le)) }],
  ["f4", { dtype: "float32", decode: (d: DataView, le: boolean) => PickleValue.float(d.getFloat32(0, le)) }],
  ["i8", { dtype: "int64", decode: (d: DataView, le: boolean) => integer(d.getBigInt64(0, le)) }],
  ["u8", { dtype: "uint64", decode: (d: DataView, le: boolean) => integer(d.getBigUint64(0, le)) }],
  ["i4", { dtype: "int32", decode: (d: DataView, le: boolean) => d.getInt32(0, le) }],
  ["u4", { dtype: "uint32", decode: (d: DataView, le: boolean) => d.getUint32(0, le) }],
  ["i2", { dtype: "int16", decode: (d: DataView, le: boolean) => d.getInt16(0, le) }],
  ["u2", { dtype: "uint16", decode: (d: DataView, le: boolean) => d.getUint16(0, le) }],
  ["i1", { dtype: "int8", decode: (d: DataView) => d.getInt8(0) }],
  ["u1", { dtype: "uint8", decode: (d: DataView) => d.getUint8(0) }],
  ["b1", { dtype: "bool", decode: (d: DataView) => d.getUint8(0) !== 0 }],
] as const)

/** Types that are not read as numbers: text, objects, half floats, complex numbers, dates. */
const OTHER = /^[a-zA-Z]\d{0,9}$/

/** `numpy.dtype("f8", …)`; its BUILD state carries the byte order. */
export const dtype = ([code]: Args, offset: number): PickleValue.Value => {
  if (typeof code !== "string" || !(kinds.has(code) || OTHER.test(code)))
    return bad(`the unknown NumPy dtype ${PickleValue.describe(code)}`, offset)
  return PickleValue.dtype(code)
}

const typeOf = (
  value: PickleValue.Value | undefined,
): { readonly code: string; readonly isLittle: boolean } | undefined => {
  if (!PickleValue.isTagged(value, "Dict") || value.kind !== "dtype") return undefined
  const code = value.entries.get("dtype")
  return typeof code === "string" ? { code, isLittle: value.entries.get("byteorder") !== ">" } : undefined
}

/** `numpy.core.multiarray.scalar(dtype, bytes)` */
export const scalar = ([type, data]: Args, offset: number): PickleValue.Value => {
  const found = typeOf(type)
  const kind = found && kinds.get(found.code)
  if (found === undefined || !PickleValue.isTagged(data, "Bytes")) return bad("a malformed NumPy scalar", offset)
  if (kind === undefined) return `numpy ${found.code}`
  return data.bytes.length === Number(found.code.slice(1))
    ? kind.decode(new DataView(data.bytes.buffer, data.bytes.byteOffset), found.isLittle)
    : bad("a malformed NumPy scalar", offset)
}

/** `numpy.core.multiarray._reconstruct(ndarray, (0,), b"b")`: an empty array that its BUILD state fills. */
export const reconstruct = ([type]: Args, offset: number): PickleValue.Value =>
  PickleValue.isTagged(type, "Global") && type.name === "numpy.ndarray"
    ? { _tag: "Array", content: undefined }
    : bad(`an array of type ${PickleValue.describe(type)}; expected numpy.ndarray`, offset)

/** The state is `(version, shape, dtype, whether in Fortran order, bytes)`. */
export const build = (target: PickleValue.Array_, state: PickleValue.Value, offset: number): void => {
  const [, shape, type, isFortran, data] = PickleValue.isTuple(state) ? state.items : []
  const found = typeOf(type)
  if (target.content !== undefined || found === undefined || !PickleValue.isTuple(shape))
    return bad("a malformed NumPy array", offset)
  const kind = kinds.get(found.code)
  if (kind === undefined) {
    target.content = `numpy array of ${found.code}`
    return
  }
  if (!PickleValue.isTagged(data, "Bytes"))
    return bad(`the content of a NumPy array is ${PickleValue.describe(data)}; expected bytes`, offset)
  const width = Number(found.code.slice(1))
  const sizes = shape.items.map((size) => (typeof size === "number" ? size : -1))
  const elements = sizes.reduce((n, size) => n * size, 1)
  if (elements * width !== data.bytes.length)
    return bad(
      `a NumPy array [${sizes.join(", ")}] of ${found.code} takes ${elements * width} bytes, but has ${data.bytes.length}`,
      offset,
    )
  const storage: TensorView.Storage = {
    bytes: ByteSource.ofBytes(data.bytes, offset),
    dtype: kind.dtype,
    length: elements,
    bigEndian: !found.isLittle,
    key: `numpy:${offset}`,
  }
  const strides = isFortran === true ? TensorView.rowMajor(sizes.toReversed()).toReversed() : TensorView.rowMajor(sizes)
  target.content = TensorView.make(storage, 0, sizes, strides, { offset })
}
