/**
 * `.npz` statistics as pytorch-fid and clean-fid exchange them: `mu` `[d]` and `sigma` `[d, d]`. Ours also hold
 * `provenance.json`, which numpy leaves alone.
 */
import { Failure, Files, NdArray } from "@adafm/core"
import { strFromU8, strToU8, unzipSync, zipSync } from "fflate"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as Matrix from "../linalg/Matrix.ts"
import * as GaussianStats from "../scores/GaussianStats.ts"

export interface Npz extends GaussianStats.Moments {
  /** What `provenance.json` says, if the file is ours. */
  readonly provenance?: unknown
}

/** Dimensions of the largest statistics that are read: 16,384² float64 is 2 GB. */
const MAX_DIMS = 16_384
/** Bytes of the longest `.npy` header. */
const MAX_HEADER = 65_536

/** What clean-fid keeps for KID, in a file of its own. */
const FEATS = "feats.npy"

const MAGIC = "\x93NUMPY"

/** One `.npy` array of floats in C or Fortran order as float64. */
const parseArray = (bytes: Uint8Array, path: string): NdArray.NdArray<"float64"> => {
  const bad = (message: string): never => Failure.raise("BadNpy", message, { path })
  if (bytes.length < 12 || Buffer.from(bytes.subarray(0, 6)).toString("latin1") !== MAGIC)
    return bad("not an .npy array")
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const long = bytes[6]! >= 2
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true)
  const start = (long ? 12 : 10) + length
  if (length > MAX_HEADER || start > bytes.length) return bad(`a header of ${length} bytes`)
  const header = Buffer.from(bytes.subarray(start - length, start)).toString("latin1")
  const descr = /'descr':\s*'([^']+)'/.exec(header)?.[1]
  const fortran = /'fortran_order':\s*(True|False)/.exec(header)?.[1] === "True"
  const dims = /'shape':\s*\(([\d,\s]*)\)/.exec(header)?.[1]
  if (dims === undefined) return bad("no shape in the header")
  const shape = dims
    .split(",")
    .filter((d) => d.trim() !== "")
    .map(Number)
  const dtype = descr === "<f8" ? "float64" : descr === "<f4" ? "float32" : bad(`dtype ${descr}; <f8 or <f4 are read`)
  if (shape.some((d) => d > MAX_DIMS)) return bad(`shape [${shape}] exceeds ${MAX_DIMS}`)
  const size = NdArray.sizeOf(shape) * NdArray.bytesPerElement[dtype]
  if (bytes.length - start !== size) return bad(`shape [${shape}] takes ${size} bytes, ${bytes.length - start} follow`)
  const stored = NdArray.toFloat64(NdArray.fromBytes(dtype, fortran ? [...shape].reverse() : shape, bytes.slice(start)))
  return fortran && shape.length === 2 ? NdArray.permute(stored, [1, 0]) : stored
}

export const parse = (bytes: Uint8Array): E.Either<Failure.Failure, Npz> =>
  E.tryCatch(() => {
    let files: Record<string, Uint8Array>
    try {
      files = unzipSync(bytes, {
        filter: ({ name }) => ["mu.npy", "sigma.npy", FEATS, "provenance.json"].includes(name),
      })
    } catch (cause) {
      return Failure.raise("BadNpz", `not a zip archive: ${cause instanceof Error ? cause.message : cause}`)
    }
    const array = (name: string): NdArray.NdArray<"float64"> =>
      parseArray(
        files[`${name}.npy`] ??
          Failure.raise(
            "BadNpz",
            files[FEATS] === undefined
              ? "FID statistics hold mu and sigma"
              : "these are the features that clean-fid keeps for KID; FID statistics hold mu and sigma, in the file without `_kid`",
            { path: name },
          ),
        name,
      )
    const [mu, sigma] = [array("mu"), array("sigma")]
    const d = mu.data.length
    if (mu.shape.length !== 1 || sigma.shape.length !== 2 || sigma.shape[0] !== d || sigma.shape[1] !== d)
      Failure.raise("BadNpz", `expected mu [d] and sigma [d, d], found [${mu.shape}] and [${sigma.shape}]`)
    const problem = mu.data.every(Number.isFinite)
      ? GaussianStats.covarianceProblem(Matrix.make(d, d, sigma.data))
      : "mu holds a value that is not finite"
    if (problem !== undefined) Failure.raise("BadNpz", `sigma is no covariance of mu: ${problem}`)
    const json = files["provenance.json"]
    return {
      mean: mu.data,
      covariance: Matrix.make(d, d, sigma.data),
      ...(json && { provenance: JSON.parse(strFromU8(json)) as unknown }),
    }
  }, Failure.fromThrown)

export const read = (file: string): TE.TaskEither<Failure.Failure, Npz> =>
  pipe(Files.read(file), TE.flatMapEither(parse), TE.mapLeft(Failure.inFile(file)))

/** Version 1.0 of the format; the data begin at a multiple of 64. */
const encodeArray = (shape: readonly number[], data: Float64Array): Uint8Array => {
  const text = `{'descr': '<f8', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`
  const header = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11, " ")}\n`
  const bytes = Buffer.alloc(10 + header.length + data.byteLength)
  bytes.write(MAGIC, "latin1")
  bytes.set([1, 0, header.length & 255, header.length >> 8], 6)
  bytes.write(header, 10, "latin1")
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 10 + header.length)
  return bytes
}

export const encode = ({ mean, covariance, provenance }: Npz): Uint8Array =>
  zipSync(
    {
      "mu.npy": encodeArray([mean.length], mean),
      "sigma.npy": encodeArray([covariance.rows, covariance.cols], covariance.data),
      ...(provenance !== undefined && { "provenance.json": strToU8(JSON.stringify(provenance)) }),
    },
    { level: 0, mtime: new Date(1980, 0, 1) },
  )

export const write = (file: string, npz: Npz): TE.TaskEither<Failure.Failure, void> => Files.write(file, encode(npz))
