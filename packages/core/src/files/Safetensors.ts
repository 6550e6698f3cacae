/**
 * The safetensors format: an 8-byte little-endian header length, a JSON header, raw little-endian row-major tensors.
 * https://github.com/huggingface/safetensors
 */

import * as E from "fp-ts/lib/Either.js"
import { flow, pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { openFile } from "#platform/Disk"
import * as Sha256 from "#platform/Sha256"
import * as Failure from "../Failure.ts"
import * as Flat from "../Flat.ts"
import * as NdArray from "../NdArray.ts"
import * as Files from "./Files.ts"
import * as SafetensorsDigest from "./SafetensorsDigest.ts"

export interface Safetensors {
  readonly tensors: Flat.Flat<NdArray.NdArray>
  /** Without the digests. */
  readonly metadata: SafetensorsDigest.Metadata
  /** Whether the file has digests, which were compared with its content; files of older versions and of other programs have none. */
  readonly isChecked: boolean
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
  /** Without the digests. */
  readonly metadata: SafetensorsDigest.Metadata
  /** SHA-256 of the bytes of each tensor, if the file has them. */
  readonly digests?: SafetensorsDigest.Digests
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
 * Reads the JSON header and checks it: dtypes, sizes, its digest, and that the tensors fill the file without holes or overlaps.
 * Failures: `BadHeader`, `BadTensor`, `TruncatedFile`, `BadChecksum`.
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
      const described = Flat.map(entries, ({ shape }, path) => ({
        code: String((raw[path] as Readonly<Record<string, unknown>>).dtype),
        shape,
      }))
      return { entries, ...SafetensorsDigest.take(described, metadata as SafetensorsDigest.Metadata) }
    },
    (thrown) =>
      thrown instanceof Failure.Raised
        ? thrown.failure
        : Failure.make("BadHeader", `the header is not JSON: ${String(thrown)}`, { offset: 8 }),
  )

/**
 * Compares tensors with their digests, if the file has digests. Raises `BadChecksum`.
 * @param pieces the bytes of a tensor
 */
export const verify = <D>(
  { entries, digests }: Pick<Header<D>, "entries" | "digests">,
  pieces: (entry: Entry<D>) => Iterable<Uint8Array>,
): void => {
  if (digests === undefined) return
  for (const [path, place] of Object.entries(entries)) SafetensorsDigest.check(digests[path]!, pieces(place), path)
}

/**
 * Parses a file that is already in memory, and compares its tensors with their digests. Tensors are views into `bytes` where alignment
 * allows. Failures as `decodeHeader`.
 */
export const parse = (bytes: Uint8Array): E.Either<Failure.Failure, Safetensors> =>
  pipe(
    headerLength(bytes, bytes.length),
    E.flatMap((length) => decodeHeader(bytes.subarray(8, 8 + length), bytes.length)),
    E.flatMap((header) =>
      E.tryCatch(() => {
        verify(header, ({ begin, end }) => [bytes.subarray(begin, end)])
        return header
      }, Failure.fromThrown),
    ),
    E.map(({ entries, metadata, digests }) => ({
      metadata,
      isChecked: digests !== undefined,
      tensors: Flat.map(entries, ({ dtype, shape, begin, end }) =>
        NdArray.fromBytes(dtype, shape, bytes.subarray(begin, end)),
      ),
    })),
  )

/** Names, shapes and places of the tensors; no tensor is read or compared with its digest. */
export const readHeader = (file: string): TE.TaskEither<Failure.Failure, Header> =>
  pipe(
    Failure.attempt(async () => {
      const handle = await openFile(file)
      try {
        const { size } = await handle.stat()
        const head = new Uint8Array(Math.min(8, size))
        await Files.readInto(handle, head, 0)
        return await pipe(
          TE.fromEither(headerLength(head, size)),
          TE.flatMap((length) =>
            Failure.attempt(async () => {
              const json = new Uint8Array(length)
              await Files.readInto(handle, json, 8)
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
const encodeHeader = (
  specs: Flat.Flat<Spec>,
  digests: SafetensorsDigest.Digests,
  metadata: SafetensorsDigest.Metadata,
): readonly Uint8Array[] => {
  const described = Flat.map(specs, ({ dtype, shape }) => ({ code: codes[dtype], shape }))
  const header: Record<string, unknown> = { __metadata__: SafetensorsDigest.add(described, digests, metadata) }
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

/**
 * The file of tensors that are made one at a time: the header with the digests, then the bytes of each tensor, sorted by path.
 * @param pieces the bytes of a tensor; called twice for each, because the digests come first in the file
 */
export function* encodeInPieces(
  specs: Flat.Flat<Spec>,
  pieces: (path: Flat.Path) => Iterable<Uint8Array>,
  metadata: SafetensorsDigest.Metadata = {},
): Generator<Uint8Array> {
  const digests = Flat.map(specs, (_, path) => {
    const hash = Sha256.make()
    for (const piece of pieces(path)) hash.update(piece)
    return hash.hex()
  })
  yield* encodeHeader(specs, digests, metadata)
  for (const path of Object.keys(specs).sort()) yield* pieces(path)
}

/** The file as chunks: the header with the digests, then the bytes of each tensor, sorted by path. Nothing is copied. */
export const encode = (
  tensors: Flat.Flat<NdArray.NdArray>,
  metadata: SafetensorsDigest.Metadata = {},
): readonly Uint8Array[] => [...encodeInPieces(tensors, (path) => [NdArray.toBytes(tensors[path]!)], metadata)]

/** Writes a complete file or none (`Files.write`). */
export const write = (
  file: string,
  tensors: Flat.Flat<NdArray.NdArray>,
  metadata: SafetensorsDigest.Metadata = {},
): TE.TaskEither<Failure.Failure, void> => Files.write(file, encode(tensors, metadata))
