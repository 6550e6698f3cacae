/** The file of one network in a model folder: float32 safetensors, read and converted tensor by tensor while it is written. */
import { Modulate } from "@adafm/adafm"
import type { Checkpoint } from "@adafm/checkpoint"
import { Failure, Flat, NdArray, Safetensors } from "@adafm/core"
import type { Gan, Step } from "@adafm/gan"
import type * as Recognise from "../recognise/Recognise.ts"
import * as HeadGradient from "./HeadGradient.ts"

type Float32 = NdArray.NdArray<"float32">
type Flattened = NonNullable<Recognise.Parameter["flattened"]>

/** A linear weight `[out, in]` or a vector `[out]` from TensorFlow's order into PyTorch's. */
const reorder = ({ rows, columns }: Flattened, array: Float32): Float32 => {
  const { shape } = array
  const axis = (side: Flattened["rows"], size: number): readonly number[] =>
    side === undefined ? [size] : [side[1], side[2], side[0]]
  const parts = [axis(rows, shape[0]!), ...(shape.length === 2 ? [axis(columns, shape[1]!)] : [])]
  const order = parts.flatMap((part, k) => {
    const first = k === 0 ? 0 : parts[0]!.length
    return part.length === 1 ? [first] : [first + 2, first, first + 1]
  })
  return NdArray.reshape(NdArray.permute(NdArray.reshape(array, parts.flat()), order), shape)
}

/** One weight that is NaN or infinite spoils every image, so the import fails before any training. */
const finite = (array: Float32, { file }: Checkpoint.Checkpoint, path: Flat.Path): Float32 =>
  NdArray.allFinite(array)
    ? array
    : Failure.raise(
        "NotFinite",
        "contains NaN or infinity: the training that wrote it diverged, or its element type overflowed",
        { file, path },
      )

function* pieces(
  config: Gan.Config,
  { checkpoint, parameters }: Recognise.Source,
  path: Flat.Path,
): Generator<Uint8Array> {
  const { from, permute, flattened, compute } = parameters[path]!
  if (compute !== undefined) yield NdArray.toBytes(finite(compute(), checkpoint, from))
  else if (permute !== undefined || flattened !== undefined) {
    const array = finite(NdArray.toFloat32(checkpoint.read(from)), checkpoint, from)
    const ours = permute === undefined ? array : NdArray.permute(array, permute)
    yield NdArray.toBytes(flattened === undefined ? ours : reorder(flattened, ours))
  } else
    for (const piece of checkpoint.pieces(from))
      yield NdArray.toBytes(HeadGradient.fromFile(config, path, finite(NdArray.toFloat32(piece), checkpoint, from)))
}

const converted = (config: Gan.Config, source: Recognise.Source): Iterable<Uint8Array> =>
  Safetensors.encodeInPieces(
    Flat.map(source.parameters, ({ shape }) => ({ dtype: "float32", shape })),
    (path) => pieces(config, source, path),
  )

/** Folds the modulation into the filters, in memory: a modulated generator is small enough. */
const folded = (
  config: Gan.Config,
  { checkpoint, parameters }: Recognise.Source,
  modulation: Step.Modulation,
): Iterable<Uint8Array> => {
  const params = Flat.map(parameters, ({ from }, path) =>
    HeadGradient.fromFile(config, path, finite(NdArray.toFloat32(checkpoint.read(from)), checkpoint, from)),
  )
  return Safetensors.encode(Modulate.fold(modulation, params))
}

export const encode = (config: Gan.Config, source: Recognise.Source): Iterable<Uint8Array> =>
  source.modulation === undefined ? converted(config, source) : folded(config, source, source.modulation)
