/**
 * The safetensors format: an 8-byte little-endian header length, a JSON header, raw little-endian row-major tensors.
 * https://github.com/huggingface/safetensors
 */

import * as E from "fp-ts/lib/Either.js"
import { flow, pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { open } from "#platform/Disk"
import * as Failure from "../Failure.ts"
import * as Flat from "../Flat.ts"
import * as NdArray from "../NdArray.ts"
import * as Files from "./Files.ts"

export interface Safetensors {
  readonly tensors: Flat.Flat<NdArray.NdArray>
  readonly metadata: Readonly<Record<string, string>>
}

/** The place of one tensor: bytes `begin … end - 1`, counted from the start of the file. */
export interface Entry<D = NdArray.DType> {
  readonly dtype: D
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

export interface Header<D = NdArray.DType> {
  readonly entries: Flat.Flat<Entry<D>>
  readonly metadata: Readonly<Record<string, string>>
}

/** Bytes; the limit of the reference implementation. */
const MAX_HEADER = 100_000_000

const codes: Readonly<Record<NdArray.DType, string>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  int64: "I64",
  int32: "I32",
  int16: "I16",
  int8: "I8",
  uint8: "U8",
  bool: "BOOL",
}

/** An element type and its size in bytes. */
export interface Coded<D> {
  readonly dtype: D
  readonly bytes: number
}
export type Dtypes<D> = ReadonlyMap<string, Coded<D>>

/** The element types of `NdArray`, by their codes in the file. */
export const dtypes: Dtypes<NdArray.DType> = new Map(
  (Object.keys(codes) as NdArray.DType[]).map((dtype) => [
    codes[dtype],
    { dtype, bytes: NdArray.bytesPerElement[dtype] },
  ]),
)

const isSize = (n: unknown): n is number => typeof n === "number" && Number.isSafeInteger(n) && n >= 0
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Length of the JSON header in bytes, from the first 8 bytes of a file. Failures: `TruncatedFile`, `BadHeader`. */
export const headerLength = (bytes: Uint8Array, fileSize: number): E.Either<Failure.Failure, number> => {
  if (bytes.length < 8)
    return E.left(
      Failure.make("TruncatedFile", `a safetensors file has at least 8 bytes, found ${bytes.length}`, { offset: 0 }),
    )
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  return length > MAX_HEADER || length + 8 > fileSize
    ? E.left(
        Failure.make(
          "BadHeader",
          `header length ${length} exceeds the file (${fileSize} bytes) or the limit (${MAX_HEADER})`,
          { offset: 0 },
        ),
      )
    : E.right(length)
}

const entry = <D>(path: string, value: unknown, dataStart: number, fileSize: number, known: Dtypes<D>): Entry<D> => {
  const fail = (message: string): never => Failure.raise("BadTensor", message, { path })
  if (!isRecord(value)) return fail("expected an object with dtype, shape and data_offsets")
  const { dtype, bytes } =
    known.get(String(value.dtype)) ??
    fail(`unknown dtype ${JSON.stringify(value.dtype)}, expected one of ${[...known.keys()].join(", ")}`)
  const { shape, data_offsets: offsets } = value
  if (!Array.isArray(shape) || !shape.every(isSize))
    return fail(`expected a shape of whole numbers, found ${JSON.stringify(shape)}`)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
    return fail(`expected two whole numbers as data_offsets, found ${JSON.stringify(offsets)}`)
  const [begin, end] = [dataStart + (offsets[0] as number), dataStart + (offsets[1] as number)]
  const expected = NdArray.sizeOf(shape) * bytes
  if (end - begin !== expected)
    return fail(`shape [${shape.join(", ")}] of ${dtype} takes ${expected} bytes, data_offsets span ${end - begin}`)
  if (end > fileSize) return fail(`the data end at byte ${end}, but the file has ${fileSize} bytes`)
  return { dtype, shape, begin, end }
}

/**
 * Reads the JSON header and checks it: dtypes, sizes, and that the tensors fill the file without holes or overlaps.
 * Failures: `BadHeader`, `BadTensor`, `TruncatedFile`.
 */
export const decodeHeader = (json: Uint8Array, fileSize: number): E.Either<Failure.Failure, Header> =>
  decodeHeaderWith(dtypes, json, fileSize)

/** The same for a reader with other element types. */
export const decodeHeaderWith = <D>(
  known: Dtypes<D>,
  json: Uint8Array,
  fileSize: number,
): E.Either<Failure.Failure, Header<D>> =>
  E.tryCatch(
    () => {
      const raw: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json))
      if (!isRecord(raw)) return Failure.raise("BadHeader", "the header is not a JSON object", { offset: 8 })
      const entries = Flat.fromEntries(
        Object.entries(raw)
          .filter(([path]) => path !== "__metadata__")
          .map(([path, value]) => [path, entry(path, value, 8 + json.length, fileSize, known)] as const),
      )
      const tiles = Object.entries(entries).sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)
      let at = 8 + json.length
      for (const [path, { begin, end }] of tiles) {
        if (begin !== at)
          Failure.raise(
            "BadTensor",
            `the data start at byte ${begin}, expected ${at} (holes and overlaps are refused)`,
            {
              path,
              offset: begin,
            },
          )
        at = end
      }
      if (at !== fileSize)
        Failure.raise("TruncatedFile", `the tensors end at byte ${at}, but the file has ${fileSize} bytes`, {
          offset: at,
        })
      const metadata = raw.__metadata__ ?? {}
      if (!isRecord(metadata) || !Object.values(metadata).every((v) => typeof v === "string")) {
        return Failure.raise("BadHeader", "__metadata__ must map strings to strings", { path: "__metadata__" })
      }
      return { entries, metadata: metadata as Record<string, string> }
    },
    (thrown) =>
      thrown instanceof Failure.Raised
        ? thrown.failure
        : Failure.make("BadHeader", `the header is not JSON: ${String(thrown)}`, { offset: 8 }),
  )

/** Parses a file that is already in memory. Tensors are views into `bytes` where alignment allows. Failures as `decodeHeader`. */
export const parse = (bytes: Uint8Array): E.Either<Failure.Failure, Safetensors> =>
  pipe(
    headerLength(bytes, bytes.length),
    E.flatMap((length) => decodeHeader(bytes.subarray(8, 8 + length), bytes.length)),
    E.map(({ entries, metadata }) => ({
      metadata,
      tensors: Flat.map(entries, ({ dtype, shape, begin, end }) =>
        NdArray.fromBytes(dtype, shape, bytes.subarray(begin, end)),
      ),
    })),
  )

/** Names, shapes and places of the tensors; no tensor is read. */
export const readHeader = (file: string): TE.TaskEither<Failure.Failure, Header> =>
  pipe(
    Failure.attempt(async () => {
      const handle = await open(file)
      try {
        const { size } = await handle.stat()
        const head = new Uint8Array(Math.min(8, size))
        await handle.read(head, 0, head.length, 0)
        return await pipe(
          TE.fromEither(headerLength(head, size)),
          TE.flatMap((length) =>
            Failure.attempt(async () => {
              const json = new Uint8Array(length)
              await handle.read(json, 0, length, 8)
              return json
            }),
          ),
          TE.flatMapEither((json) => decodeHeader(json, size)),
        )()
      } finally {
        await handle.close()
      }
    }),
    TE.flatMapEither((either) => either),
    TE.mapLeft(Failure.inFile(file)),
  )

/** Reads a whole file. Failures name the file, and the tensor where one is at fault. */
export const read = (file: string): TE.TaskEither<Failure.Failure, Safetensors> =>
  pipe(Files.read(file), TE.flatMapEither(flow(parse, E.mapLeft(Failure.inFile(file)))))

/** Type and shape of a tensor, without its values. */
export type Spec = Pick<NdArray.NdArray, "dtype" | "shape">

/** The bytes of a file up to the first tensor, a multiple of 8; the tensors' bytes follow, sorted by path. */
export const encodeHeader = (
  specs: Flat.Flat<Spec>,
  metadata: Readonly<Record<string, string>> = {},
): readonly Uint8Array[] => {
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {}
  let at = 0
  for (const path of Object.keys(specs).sort()) {
    const { dtype, shape } = specs[path]!
    const bytes = NdArray.sizeOf(shape) * NdArray.bytesPerElement[dtype]
    header[path] = { dtype: codes[dtype], shape, data_offsets: [at, at + bytes] }
    at += bytes
  }
  const text = JSON.stringify(header)
  const json = new TextEncoder().encode(
    text.padEnd(text.length + ((8 - (new TextEncoder().encode(text).length % 8)) % 8), " "),
  )
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true)
  return [length, json]
}

/** The file as chunks: the header, then the bytes of each tensor, sorted by path. Nothing is copied. */
export const encode = (
  tensors: Flat.Flat<NdArray.NdArray>,
  metadata: Readonly<Record<string, string>> = {},
): readonly Uint8Array[] => [
  ...encodeHeader(tensors, metadata),
  ...Object.keys(tensors)
    .sort()
    .map((path) => NdArray.toBytes(tensors[path]!)),
]

/** Writes a complete file or none (`Files.write`). */
export const write = (
  file: string,
  tensors: Flat.Flat<NdArray.NdArray>,
  metadata: Readonly<Record<string, string>> = {},
): TE.TaskEither<Failure.Failure, void> => Files.write(file, encode(tensors, metadata))
