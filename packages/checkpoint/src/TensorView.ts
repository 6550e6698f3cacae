/**
 * A tensor of a checkpoint before its values are read: shape and strides over a storage, which is a range of bytes in a file.
 * Every format becomes views, so reading, summing and checking are written once.
 */
import { Failure, type Flat, NdArray } from "@adafm/core"
import * as ByteSource from "./ByteSource.ts"
import * as DType from "./DType.ts"

export interface Storage {
  readonly bytes: ByteSource.Source
  readonly dtype: DType.DType
  /** Elements. */
  readonly length: number
  readonly bigEndian: boolean
  /** Equal for views that share memory. */
  readonly key: string
}

export interface View {
  readonly dtype: DType.DType
  readonly shape: readonly number[]
  /** In elements, like `offset`. */
  readonly strides: readonly number[]
  readonly offset: number
  readonly storage: Storage
}

/** PyTorch's own limit is 64. */
const MAX_RANK = 64
/** Elements of a view that repeats its storage (stride 0, overlaps). It allows a bias of 4,096 repeated 4,000 times; without it, a few bytes could claim any memory. */
const MAX_REPEATED = 1 << 24
/** Elements of all such views of a file together. Reading them costs time, which the file's size does not bound. */
const MAX_REPEATED_TOTAL = 1 << 24
/** Bytes of one piece of a contiguous tensor. */
const PIECE = 1 << 20

const isCount = (n: unknown): n is number => typeof n === "number" && Number.isSafeInteger(n) && n >= 0

/** Row-major strides, in elements. */
export const rowMajor = (shape: readonly number[]): number[] => {
  const strides = new Array<number>(shape.length).fill(1)
  for (let axis = shape.length - 2; axis >= 0; axis--)
    strides[axis] = strides[axis + 1]! * Math.max(1, shape[axis + 1]!)
  return strides
}

/** Checks that a view stays inside its storage and does not repeat a small storage too often. */
export const make = (
  storage: Storage,
  offset: unknown,
  shape: readonly unknown[],
  strides: readonly unknown[],
  place: { readonly offset?: number; readonly path?: string } = {},
): View => {
  const fail = (message: string): never => Failure.raise("BadTensor", message, place)
  if (shape.length > MAX_RANK) return fail(`a tensor of rank ${shape.length}; the limit is ${MAX_RANK}`)
  if (shape.length !== strides.length) return fail(`${shape.length} sizes but ${strides.length} strides`)
  if (!isCount(offset)) return fail(`bad storage offset ${String(offset)}: expected a count of elements`)
  if (!shape.every(isCount)) return fail(`bad shape [${shape.join(", ")}]: expected counts of elements`)
  if (!strides.every(isCount)) return fail(`bad strides [${strides.join(", ")}]: expected counts of elements`)
  const elements = NdArray.sizeOf(shape)
  if (!Number.isSafeInteger(elements)) return fail(`shape [${shape.join(", ")}] has more than 2^53 elements`)
  const last = shape.reduce((at, size, axis) => at + (size - 1) * strides[axis]!, offset)
  if (elements === 0 ? offset > storage.length : !(last < storage.length))
    return fail(
      `shape [${shape.join(", ")}] with strides [${strides.join(", ")}] from element ${offset} reaches element ${last}, but the storage has ${storage.length} elements`,
    )
  if (elements > storage.length && elements > MAX_REPEATED)
    return fail(
      `${elements} elements over a storage of ${storage.length}: a view that repeats elements may have at most ${MAX_REPEATED}`,
    )
  return { dtype: storage.dtype, shape, strides, offset, storage }
}

/** A whole storage in row-major order, for formats without strides. */
export const dense = (storage: Storage, shape: readonly number[], path: string): View =>
  make(storage, 0, shape, rowMajor(shape), { path })

export const isContiguous = ({ shape, strides }: Pick<View, "shape" | "strides">): boolean => {
  const expected = rowMajor(shape)
  return NdArray.sizeOf(shape) === 0 || shape.every((size, axis) => size === 1 || strides[axis] === expected[axis])
}

/** Raises if the repeated views of a file add up to too many elements. */
export const checkRepeats = (views: Flat.Flat<View>): void => {
  let repeated = 0
  for (const [path, { shape, storage }] of Object.entries(views)) {
    const elements = NdArray.sizeOf(shape)
    if (elements > storage.length) repeated += elements
    if (repeated > MAX_REPEATED_TOTAL)
      Failure.raise(
        "BadTensor",
        `with this tensor, the views that repeat elements have more than ${MAX_REPEATED_TOTAL} elements together`,
        {
          path,
          offset: storage.bytes.at,
        },
      )
  }
}

/** Storage bytes in this machine's (little-endian) order. */
const ordered = (view: View, bytes: Uint8Array): Uint8Array => {
  const size = DType.bytesPerElement(view.dtype)
  if (!view.storage.bigEndian || size === 1) return bytes
  for (let at = 0; at < bytes.length; at += size) bytes.subarray(at, at + size).reverse()
  return bytes
}

/** The type of array that a view is read as. */
const arrayType = (view: View): NdArray.DType =>
  DType.readAs(view.dtype) ?? Failure.raise("UnsupportedDType", DType.unsupported(view.dtype))

/** Reads one tensor, contiguous and little-endian, in its own dtype or a wider one. Only its range of the storage is read. */
export const read = (view: View): NdArray.NdArray => {
  const { shape, strides, offset, dtype, storage } = view
  const size = DType.bytesPerElement(dtype)
  const elements = NdArray.sizeOf(shape)
  if (elements === 0) return NdArray.zeros(arrayType(view), shape)
  const span = 1 + shape.reduce((at, n, axis) => at + (n - 1) * strides[axis]!, 0)
  const bytes = ordered(view, storage.bytes.read(offset * size, span * size))
  if (isContiguous(view)) return DType.decode(dtype, shape, bytes)
  const stored = DType.decode(dtype, [span], bytes)
  return NdArray.gather(stored.dtype, stored.data, shape, strides)
}

/** The tensor's elements in row-major order: in pieces of at most 1 MiB if the view is contiguous, else in one piece. */
export function* pieces(view: View): Generator<NdArray.NdArray> {
  arrayType(view)
  if (!isContiguous(view)) {
    yield read(view)
    return
  }
  const size = DType.bytesPerElement(view.dtype)
  const length = NdArray.sizeOf(view.shape) * size
  for (const bytes of ByteSource.pieces(view.storage.bytes, view.offset * size, length, PIECE))
    yield DType.decode(view.dtype, [bytes.length / size], ordered(view, bytes))
}
