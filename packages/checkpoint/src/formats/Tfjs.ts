/**
 * TensorFlow.js `model.json` (layers or graph model) with its weight shards. A quantised weight is read as the float32 values
 * that TensorFlow.js computes with. https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts
 */
import { Failure, Flat, NdArray } from "@adafm/core"
import * as z from "zod"
import * as ByteSource from "../ByteSource.ts"
import * as DType from "../DType.ts"
import type * as JsonFile from "../JsonFile.ts"
import type * as ParsedFile from "../ParsedFile.ts"
import type * as SiblingFiles from "../SiblingFiles.ts"
import * as TensorView from "../TensorView.ts"
import * as UniquePaths from "../UniquePaths.ts"

const Weight = z.object({
  name: z.string().max(4096),
  shape: z.array(z.int().nonnegative()).max(8),
  dtype: z.enum(["float32", "int32", "bool", "float16", "complex64"]),
  quantization: z
    .object({
      dtype: z.enum(["uint8", "uint16", "float16"]),
      scale: z.number().optional(),
      min: z.number().optional(),
    })
    .optional(),
})
type Weight = z.infer<typeof Weight>

/** The keys that matter here; the file has more. */
const Model = z.object({
  format: z.string().optional(),
  weightsManifest: z.array(z.object({ paths: z.array(z.string()).min(1), weights: z.array(Weight) })),
})

export const isModel = (json: JsonFile.JsonObject): boolean => "weightsManifest" in json

/** `q · scale + min`, in float64 as TensorFlow.js computes it, rounded to float32. */
const dequantise = (packed: ByteSource.Source, { quantization, shape }: Weight): Uint8Array => {
  const raw = packed.read(0, packed.size)
  const values = quantization!.dtype === "uint8" ? raw : new Uint16Array(raw.buffer, raw.byteOffset, raw.length / 2)
  const { scale = 1, min = 0 } = quantization!
  const out = new Float32Array(NdArray.sizeOf(shape))
  for (let i = 0; i < out.length; i++) out[i] = values[i]! * scale + min
  return new Uint8Array(out.buffer)
}

const view = (source: ByteSource.Source, begin: number, weight: Weight): { view: TensorView.View; bytes: number } => {
  const { name, shape, quantization } = weight
  const elements = NdArray.sizeOf(shape)
  const stored: DType.DType = quantization?.dtype === "float16" ? "float16" : weight.dtype
  const affine = quantization !== undefined && quantization.dtype !== "float16"
  if (affine && weight.dtype !== "float32")
    Failure.raise(
      "UnsupportedDType",
      `${weight.dtype} quantised to ${quantization.dtype} is not supported; only float32 is`,
      { path: name },
    )
  const width = affine ? (quantization.dtype === "uint8" ? 1 : 2) : DType.bytesPerElement(stored)
  const bytes = elements * width
  if (!Number.isSafeInteger(bytes))
    return Failure.raise("BadTensor", `shape [${shape.join(", ")}] has more than 2^53 bytes`, { path: name })
  const packed = ByteSource.slice(source, begin, bytes)
  const storage: TensorView.Storage = affine
    ? {
        bytes: ByteSource.decoded(elements * 4, packed.at, () => dequantise(packed, weight)),
        dtype: "float32",
        length: elements,
        bigEndian: false,
        key: name,
      }
    : { bytes: packed, dtype: stored, length: elements, bigEndian: false, key: name }
  return { view: TensorView.dense(storage, shape, name), bytes }
}

export const read = (json: JsonFile.JsonObject, siblings: SiblingFiles.SiblingFiles): ParsedFile.ParsedFile => {
  const parsed = Model.safeParse(json)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    return Failure.raise("BadHeader", issue.message, { path: issue.path.join(".") })
  }
  const views = Flat.empty<TensorView.View>()
  for (const { paths, weights } of parsed.data.weightsManifest) {
    const source = ByteSource.concat(paths.map(siblings.open))
    let at = 0
    for (const weight of weights) {
      const { view: made, bytes } = view(source, at, weight)
      UniquePaths.add(views, weight.name, made)
      at += bytes
    }
    if (at !== source.size)
      Failure.raise(
        "TrailingBytes",
        `the weights take ${at} bytes, but the shards ${paths.join(", ")} have ${source.size}`,
      )
  }
  return { format: "tfjs", views, scalars: {}, metadata: {}, problems: [], verify: () => undefined }
}
