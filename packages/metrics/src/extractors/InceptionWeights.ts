/** Inception's weights from any of the usual files: folded safetensors, pytorch-fid's `.pth`, torchvision's `.pth`. */
import { Failure, Flat, NdArray, Sha256 } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import type * as Inception from "./Inception.ts"

/** ε of every batch norm of Inception-v3. */
const EPSILON = 0.001

type Tensors = Flat.Flat<NdArray.NdArray>

const required = (tensors: Tensors, path: string): Float64Array =>
  NdArray.toFloat64(tensors[path] ?? Failure.raise("MissingTensor", "the batch norm lacks this tensor", { path })).data

/** `y = γ·(conv(x) - mean) / √(var + ε) + β` as one convolution with a bias. */
const foldOne = (tensors: Tensors, unit: string): Inception.Weights => {
  const kernel = NdArray.toFloat32(tensors[`${unit}.conv.weight`]!)
  const [beta, mean, variance] = ["bias", "running_mean", "running_var"].map((n) =>
    required(tensors, `${unit}.bn.${n}`),
  )
  const gamma = tensors[`${unit}.bn.weight`] === undefined ? undefined : required(tensors, `${unit}.bn.weight`)
  const channels = kernel.shape[0]!
  if (![beta, mean, variance, gamma ?? beta].every((v) => v!.length === channels))
    Failure.raise("BadTensor", `the convolution has ${channels} channels, the batch norm another number`, {
      path: `${unit}.bn`,
    })
  const scale = Float64Array.from(
    { length: channels },
    (_, c) => (gamma?.[c] ?? 1) / Math.sqrt(variance![c]! + EPSILON),
  )
  const per = kernel.data.length / channels
  return {
    [`${unit}.weight`]: NdArray.float32(
      kernel.shape,
      kernel.data.map((v, at) => v * scale[Math.floor(at / per)]!),
    ),
    [`${unit}.bias`]: NdArray.float32(
      [channels],
      Float32Array.from({ length: channels }, (_, c) => beta![c]! - mean![c]! * scale[c]!),
    ),
  }
}

/**
 * Folds batch norm into the convolutions (`<unit>.conv.weight`, `<unit>.bn.*`) in float64. Folded tensors stay unchanged; a
 * `module.` prefix and the auxiliary classifier are dropped.
 */
export const fold = (tensors: Tensors): E.Either<Failure.Failure, Inception.Weights> =>
  E.tryCatch(() => {
    const named = Flat.fromEntries(
      Object.entries(tensors)
        .map(([path, value]) => [path.replace(/^module\./, ""), value] as const)
        .filter(([path]) => !path.startsWith("AuxLogits.")),
    )
    const units = Object.keys(named).flatMap((path) => /^(.+)\.conv\.weight$/.exec(path)?.[1] ?? [])
    const plain = Flat.filter(named, (path) => !/\.(conv|bn)\.\w+$/.test(path))
    const weights = Flat.merge(Flat.map(plain, NdArray.toFloat32), ...units.map((unit) => foldOne(named, unit)))
    const broken = Object.keys(weights).find((path) => !weights[path]!.data.every(Number.isFinite))
    return broken === undefined
      ? weights
      : Failure.raise("BadTensor", "the tensor holds a value that is not finite", { path: broken })
  }, Failure.fromThrown)

/** Which network the weights belong to, by the number of its classes; undefined without `fc`. */
export const networkOf = (weights: Inception.Weights): Inception.Network | undefined => {
  const classes = weights["fc.weight"]?.shape[0]
  return classes === 1008 ? "fid" : classes === 1000 ? "torchvision" : undefined
}

/** SHA-256 over names, shapes and values in order of path: it identifies weights whatever the file format. */
export const hash = (weights: Inception.Weights): string => {
  const total = Sha256.make()
  for (const path of Object.keys(weights).sort()) {
    total.update(`${path} ${weights[path]!.shape.join("x")}\n`).update(NdArray.toBytes(weights[path]!))
  }
  return total.hex()
}
