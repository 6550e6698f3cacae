/**
 * `.npz` statistics as pytorch-fid and clean-fid exchange them: `mu` `[d]` and `sigma` `[d, d]`. Ours also hold
 * `provenance.json`, which NumPy ignores.
 */
import { ByteSource, Npy, TensorView, ZipReader, ZipWriter } from "@adafm/checkpoint"
import { Bytes, Failure, Files, NdArray } from "@adafm/core"
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

const PROVENANCE = "provenance.json"
/** What clean-fid keeps for KID, in a separate file. */
const FEATS = "feats.npy"

/** Gives a failure of the zip reader or the `.npy` reader the tag that statistics have. */
const tagged = <A>(_tag: "BadNpz" | "BadNpy", f: () => A, prefix = ""): A => {
  try {
    return f()
  } catch (thrown) {
    const failure = Failure.fromThrown(thrown)
    throw new Failure.Raised({ ...failure, _tag, message: prefix + failure.message })
  }
}

/** A member's bytes, checked against its checksum. */
const content = (member: ZipReader.Member): Uint8Array =>
  tagged("BadNpz", () => {
    ZipReader.verify(member)
    return member.content.read(0, member.size)
  })

/** One `.npy` array of floats as float64. */
const parseArray = (member: ZipReader.Member, path: string): NdArray.NdArray<"float64"> => {
  const bytes = ByteSource.ofBytes(content(member), member.content.at)
  return tagged("BadNpy", () => {
    const view = Npy.view(bytes, path)
    const bad = (message: string): never => Failure.raise("BadNpy", message, { path })
    if (view.dtype !== "float64" && view.dtype !== "float32")
      bad(`dtype ${view.dtype}; statistics are float64 or float32`)
    if (view.shape.some((d) => d > MAX_DIMS)) bad(`shape [${view.shape}] exceeds ${MAX_DIMS} dimensions`)
    return NdArray.toFloat64(TensorView.read(view))
  })
}

export const parse = (bytes: Uint8Array): E.Either<Failure.Failure, Npz> =>
  E.tryCatch(() => {
    const readZip = () => ZipReader.read(ByteSource.ofBytes(bytes))
    const { members } = tagged("BadNpz", readZip, "not a zip archive, or a damaged one: ")
    const array = (name: string): NdArray.NdArray<"float64"> => {
      const member = members.get(`${name}.npy`)
      return member === undefined
        ? Failure.raise(
            "BadNpz",
            members.has(FEATS)
              ? "these are the features that clean-fid keeps for KID; FID statistics hold mu and sigma, in the file without `_kid`"
              : `found no ${name}.npy; FID statistics hold mu and sigma`,
            { path: name },
          )
        : parseArray(member, name)
    }
    const [mu, sigma] = [array("mu"), array("sigma")]
    const d = mu.data.length
    if (mu.shape.length !== 1 || sigma.shape.length !== 2 || sigma.shape[0] !== d || sigma.shape[1] !== d)
      Failure.raise("BadNpz", `expected mu [d] and sigma [d, d], found [${mu.shape}] and [${sigma.shape}]`)
    const covariance = Matrix.make(d, d, sigma.data)
    if (!mu.data.every(Number.isFinite)) Failure.raise("BadNpz", "mu holds a value that is not finite")
    const problem = GaussianStats.covarianceProblem(covariance)
    if (problem !== undefined) Failure.raise("BadNpz", `sigma is not a covariance matrix: ${problem}`)
    const json = members.get(PROVENANCE)
    return {
      mean: mu.data,
      covariance,
      ...(json && {
        provenance: Failure.orThrow(Files.parseJson(new TextDecoder().decode(content(json)), { path: PROVENANCE })),
      }),
    }
  }, Failure.fromThrown)

export const read = (file: string): TE.TaskEither<Failure.Failure, Npz> =>
  pipe(Files.read(file), TE.flatMapEither(parse), TE.mapLeft(Failure.inFile(file)))

export const encode = ({ mean, covariance: { rows, cols, data }, provenance }: Npz): Uint8Array =>
  Bytes.concat([
    ...ZipWriter.encode([
      { name: "mu.npy", bytes: Npy.encode(NdArray.make("float64", [mean.length], mean)) },
      { name: "sigma.npy", bytes: Npy.encode(NdArray.make("float64", [rows, cols], data)) },
      ...(provenance === undefined
        ? []
        : [{ name: PROVENANCE, bytes: new TextEncoder().encode(JSON.stringify(provenance)) }]),
    ]),
  ])

export const write = (file: string, npz: Npz): TE.TaskEither<Failure.Failure, void> => Files.write(file, encode(npz))
