/**
 * Digests in the metadata of a safetensors file, which make damage to it known. `adafm:tensors` is a JSON object with the SHA-256 of
 * the bytes of each tensor, `adafm:header` the SHA-256 of everything else that the header says. Other programs ignore both.
 */
import * as Sha256 from "#platform/Sha256"
import * as Failure from "../Failure.ts"
import * as Flat from "../Flat.ts"

/** Text of the header. */
export type Metadata = Readonly<Record<string, string>>

/** What the header says of a tensor: the code of its element type, and its shape. */
export interface Described {
  readonly code: string
  readonly shape: readonly number[]
}

const HEADER = "adafm:header"
const TENSORS = "adafm:tensors"

/** 64 hex digits for each tensor. */
export type Digests = Flat.Flat<string>

const ofHeader = (tensors: Flat.Flat<Described>, digests: Digests, metadata: Metadata): string =>
  Sha256.make()
    .update(
      JSON.stringify([
        Object.keys(metadata)
          .sort()
          .map((key) => [key, metadata[key]]),
        Object.keys(tensors)
          .sort()
          .map((path) => [path, tensors[path]!.code, tensors[path]!.shape, digests[path]]),
      ]),
    )
    .hex()

/** The metadata with the digests. */
export const add = (tensors: Flat.Flat<Described>, digests: Digests, metadata: Metadata): Metadata => ({
  ...metadata,
  [HEADER]: ofHeader(tensors, digests, metadata),
  [TENSORS]: JSON.stringify(digests),
})

const damaged = (message: string, path: string): never =>
  Failure.raise("BadChecksum", `${message}: the file is damaged, or a program changed it and kept the old metadata`, {
    path,
  })

const parse = (text: string): Readonly<Record<string, unknown>> => {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>
  } catch {
    return damaged("the digests are not valid JSON", TENSORS)
  }
}

/**
 * Separates the digests from the other metadata and checks the header's; no digests if the file was written without them. Raises
 * `BadChecksum`.
 */
export const take = (
  tensors: Flat.Flat<Described>,
  whole: Metadata,
): { readonly metadata: Metadata; readonly digests?: Digests } => {
  const { [HEADER]: header, [TENSORS]: text, ...metadata } = whole
  if (header === undefined && text === undefined) return { metadata }
  if (header === undefined || text === undefined)
    return damaged("one of the two entries with digests is missing", text === undefined ? TENSORS : HEADER)
  const all = parse(text)
  const digests = Flat.map(tensors, (_, path) =>
    Object.hasOwn(all, path) ? String(all[path]) : damaged("the tensor has no digest", path),
  )
  return ofHeader(tensors, digests, metadata) === header
    ? { metadata, digests }
    : damaged("the header does not have the SHA-256 that it records", HEADER)
}

/** Compares the bytes of a tensor with its digest. Raises `BadChecksum`. */
export const check = (digest: string, pieces: Iterable<Uint8Array>, path: string): void => {
  const hash = Sha256.make()
  for (const piece of pieces) hash.update(piece)
  const found = hash.hex()
  if (found !== digest)
    damaged(`the tensor's SHA-256 is ${found.slice(0, 12)}…, but the file records ${digest.slice(0, 12)}…`, path)
}
