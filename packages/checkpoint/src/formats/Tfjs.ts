/**
 * TensorFlow.js `model.json` (layers or graph model) with its weight shards. A quantised weight is read as the float32 values
 * that TensorFlow.js computes with. https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts
 */
import { Failure, Flat, NdArray } from "@adafm/core"
import * as z from "zod"
import * as ByteSource from "../ByteSource.ts"
import * as DType from "../DType.ts"
import * as JsonFile from "../JsonFile.ts"
import type * as ParsedFile from "../ParsedFile.ts"
import type * as SiblingFiles from "../SiblingFiles.ts"
import * as TensorView from "../TensorView.ts"
import type * as Topology from "../Topology.ts"
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
  modelTopology: z.record(z.string(), z.unknown()).nullish(),
  signature: z.record(z.string(), z.unknown()).nullish(),
  userDefinedMetadata: z.record(z.string(), z.unknown()).nullish(),
  weightsManifest: z.array(z.object({ paths: z.array(z.string()).min(1), weights: z.array(Weight) })),
})

export const isModel = (json: JsonFile.JsonObject): boolean => "weightsManifest" in json

/** `q · scale + min`, in float64 as TensorFlow.js computes it, rounded to float32. */
const dequantise =
  ({ quantization }: Weight) =>
  (raw: Uint8Array<ArrayBuffer>): Uint8Array => {
    const values = quantization!.dtype === "uint8" ? raw : new Uint16Array(raw.buffer, raw.byteOffset, raw.length / 2)
    const { scale = 1, min = 0 } = quantization!
    return new Uint8Array(Float32Array.from(values, (value) => value * scale + min).buffer)
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
        bytes: ByteSource.mapped(packed, { from: width, width: 4 }, dequantise(weight)),
        dtype: "float32",
        length: elements,
        bigEndian: false,
        key: name,
      }
    : { bytes: packed, dtype: stored, length: elements, bigEndian: false, key: name }
  return { view: TensorView.dense(storage, shape, name), bytes }
}

/** Weights are named `layer/kernel`, those of a model in the model `model/layer/kernel`. */
const byLayer = (paths: readonly string[]): Readonly<Record<string, readonly string[]>> => {
  const found: Record<string, string[]> = Object.create(null)
  for (const path of paths) {
    const layer = path.split("/").at(-2) ?? ""
    const own = found[layer]
    if (own === undefined) found[layer] = [path]
    else own.push(path)
  }
  return found
}

const topologyOf = (
  { modelTopology, signature, userDefinedMetadata }: z.infer<typeof Model>,
  paths: readonly string[],
): Topology.Topology | undefined => {
  if (modelTopology === undefined || modelTopology === null) return undefined
  if (Array.isArray(modelTopology.node))
    return {
      kind: "tensorflow",
      graph: modelTopology,
      signature: [signature, userDefinedMetadata?.signature].find(JsonFile.isObject),
    }
  const config = JsonFile.isObject(modelTopology.model_config) ? modelTopology.model_config : modelTopology
  return { kind: "keras", config, weights: byLayer(paths) }
}

export const read = (json: JsonFile.JsonObject, siblings: SiblingFiles.SiblingFiles): ParsedFile.ParsedFile => {
  const parsed = Model.safeParse(json)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    return Failure.raise("BadHeader", issue.message, { path: issue.path.join(".") })
  }
  const views = Flat.empty<TensorView.View>()
  const shards = new Set<string>()
  for (const { paths, weights } of parsed.data.weightsManifest) {
    for (const path of paths) {
      if (shards.has(path)) Failure.raise("BadHeader", `the manifest names the shard ${path} twice`, { path })
      shards.add(path)
    }
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
  const topology = topologyOf(parsed.data, Object.keys(views))
  return {
    format: "tfjs",
    views,
    scalars: {},
    metadata: {},
    ...(topology !== undefined && { topology }),
    problems: [],
    verify: () => undefined,
  }
}
