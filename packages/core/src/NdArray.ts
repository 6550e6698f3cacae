/**
 * A dense row-major array in host memory: the form in which files, images and engines exchange data.
 * Tensors (`tf.Tensor`) exist only inside functions that an engine runs.
 */
export type DType =
  | "float64"
  | "float32"
  | "float16"
  | "bfloat16"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint8"
  | "bool"

/** `float16` and `bfloat16` are stored as their bits in a `Uint16Array`, `bool` as bytes 0 and 1. */
export interface Storage {
  readonly float64: Float64Array
  readonly float32: Float32Array
  readonly float16: Uint16Array
  readonly bfloat16: Uint16Array
  readonly int64: BigInt64Array
  readonly int32: Int32Array
  readonly int16: Int16Array
  readonly int8: Int8Array
  readonly uint8: Uint8Array
  readonly bool: Uint8Array
}

export interface NdArray<D extends DType = DType> {
  readonly dtype: D
  readonly shape: readonly number[]
  readonly data: Storage[D]
}

export const bytesPerElement: Readonly<Record<DType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
}

const constructors = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const

/** Number of elements of a shape; 1 for a scalar (`[]`). */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)

/** Throws where the length of `data` does not fit the shape. */
export const make = <D extends DType>(dtype: D, shape: readonly number[], data: Storage[D]): NdArray<D> => {
  if (data.length !== sizeOf(shape)) {
    throw new Error(`an array of shape [${shape.join(", ")}] holds ${sizeOf(shape)} elements, not ${data.length}`)
  }
  return { dtype, shape, data }
}

export const float32 = (shape: readonly number[], data: Float32Array | readonly number[]): NdArray<"float32"> =>
  make("float32", shape, data instanceof Float32Array ? data : Float32Array.from(data))

export const int32 = (shape: readonly number[], data: Int32Array | readonly number[]): NdArray<"int32"> =>
  make("int32", shape, data instanceof Int32Array ? data : Int32Array.from(data))

export const scalar = (value: number): NdArray<"float32"> => float32([], [value])

/** Whether no element is NaN or infinite. */
export const allFinite = ({ data }: NdArray<"float32" | "float64" | "int32">): boolean => {
  // x - x is NaN for NaN and ±∞ and 0 otherwise, so one sum replaces a branch per element
  let sum = 0
  for (let i = 0; i < data.length; i++) sum += data[i]! - data[i]!
  return sum === 0
}

export const zeros = <D extends DType>(dtype: D, shape: readonly number[]): NdArray<D> =>
  make(dtype, shape, new constructors[dtype](sizeOf(shape)) as Storage[D])

/** Views little-endian bytes as an array; copies only when the bytes are not aligned. */
export const fromBytes = <D extends DType>(dtype: D, shape: readonly number[], bytes: Uint8Array): NdArray<D> => {
  const aligned = bytes.byteOffset % bytesPerElement[dtype] === 0 ? bytes : new Uint8Array(bytes) // `slice` of a Buffer would not copy
  const data = new constructors[dtype](aligned.buffer as ArrayBuffer, aligned.byteOffset, sizeOf(shape))
  return make(dtype, shape, data as Storage[D])
}

/** The little-endian bytes of an array, without a copy. */
export const toBytes = ({ data }: NdArray): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

/** Value of an IEEE half from its 16 bits. */
const fromHalf = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const single = new Float32Array(1)
const bitsOfSingle = new Uint32Array(single.buffer)

const fromBrain = (bits: number): number => {
  bitsOfSingle[0] = (bits << 16) >>> 0
  return single[0]!
}

/** The 16 bits of the IEEE half nearest to a float32 (ties to even; beyond 65504 infinity). */
const toHalf = (value: number): number => {
  single[0] = value
  const bits = bitsOfSingle[0]!
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude < 0x38800000) {
    // subnormal half: the value in units of 2^-24, rounded to even
    const units = Math.abs(single[0]!) * 2 ** 24
    const floor = Math.floor(units)
    const rest = units - floor
    return sign | (floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0))
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1)
  return sign | ((rounded - 0x38000000) >>> 13)
}

const decode = (a: NdArray): ((i: number) => number) => {
  const data = a.data
  if (a.dtype === "float16") return (i) => fromHalf(data[i] as number)
  if (a.dtype === "bfloat16") return (i) => fromBrain(data[i] as number)
  return (i) => Number(data[i])
}

const decoded = <A extends Float32Array | Float64Array>(a: NdArray, out: A): A => {
  const at = decode(a)
  for (let i = 0; i < out.length; i++) out[i] = at(i)
  return out
}

/** The same values as float32 (float64 and int64 are rounded); float32 input is returned unchanged. */
export const toFloat32 = (a: NdArray): NdArray<"float32"> =>
  a.dtype === "float32" ? (a as NdArray<"float32">) : float32(a.shape, decoded(a, new Float32Array(a.data.length)))

/** The same values as float64; int64 beyond 2^53 is rounded. */
export const toFloat64 = (a: NdArray): NdArray<"float64"> =>
  a.dtype === "float64"
    ? (a as NdArray<"float64">)
    : make("float64", a.shape, decoded(a, new Float64Array(a.data.length)))

/** Rounds to IEEE half precision. */
export const toFloat16 = (a: NdArray<"float32">): NdArray<"float16"> =>
  make(
    "float16",
    a.shape,
    Uint16Array.from(a.data, (v) => toHalf(v)),
  )

const stridesOf = (shape: readonly number[]): number[] => {
  const strides = new Array<number>(shape.length).fill(1)
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!
  return strides
}

/**
 * Gathers a strided view into a dense array: element `[i, j, …]` is `data[offset + i·strides[0] + j·strides[1] + …]`.
 * Permutation, layout changes and PyTorch's non-contiguous tensors all use this loop.
 */
export const gather = <D extends DType>(
  dtype: D,
  data: Storage[D],
  shape: readonly number[],
  strides: readonly number[],
  offset = 0,
): NdArray<D> => {
  const out = new constructors[dtype](sizeOf(shape)) as Storage[D]
  const target = out as unknown as number[]
  const source = data as unknown as number[]
  const rank = shape.length
  const index = new Array<number>(rank).fill(0)
  let at = offset
  for (let n = 0; n < out.length; n++) {
    target[n] = source[at]!
    for (let axis = rank - 1; axis >= 0; axis--) {
      at += strides[axis]!
      if (++index[axis]! < shape[axis]!) break
      at -= strides[axis]! * shape[axis]!
      index[axis] = 0
    }
  }
  return make(dtype, shape, out)
}

/** `permute(a, p).shape[k] = a.shape[p[k]]`. */
export const permute = <D extends DType>(a: NdArray<D>, order: readonly number[]): NdArray<D> => {
  const strides = stridesOf(a.shape)
  return gather(
    a.dtype,
    a.data,
    order.map((axis) => a.shape[axis]!),
    order.map((axis) => strides[axis]!),
  )
}

/** Shares the data. Throws where the new shape has another number of elements. */
export const reshape = <D extends DType>(a: NdArray<D>, shape: readonly number[]): NdArray<D> =>
  make(a.dtype, shape, a.data)

/** Stacks n arrays of one type and shape along a new first axis: `[n, …]`. */
export const stack = <D extends DType>(arrays: readonly NdArray<D>[]): NdArray<D> => {
  const [{ dtype, shape }, size] = [arrays[0]!, arrays[0]!.data.length]
  const joined = zeros(dtype, [arrays.length, ...shape])
  for (const [i, { data }] of arrays.entries()) joined.data.set(data as never, i * size)
  return joined
}
