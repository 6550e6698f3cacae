/**
 * The classifier that is part of this package, for machines without Inception weights: four convolutions at 32 × 32 pixels,
 * trained by `scripts/train-embedded.ts`; `assets/embedded.md` is its model card. Its scores are comparable only with each other.
 */

import { Failure, type Flat, NdArray, Safetensors, Sha256 } from "@adafm/core"
import { Graph } from "@adafm/onnx"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as WeightsFile from "#extractors/EmbeddedFile"
import type * as Protocol from "../Protocol.ts"

export const NAME = "embedded"
/** Height and width of the input. */
export const SIZE = 32

export interface Layer {
  readonly out: number
  readonly kernel: number
  readonly stride: 1 | 2
}

/** Convolutions with one pixel of padding, each followed by a ReLU; then the mean over space and `fc`. */
export const LAYERS: readonly Layer[] = [
  { out: 48, kernel: 4, stride: 2 },
  { out: 64, kernel: 3, stride: 1 },
  { out: 96, kernel: 4, stride: 2 },
  { out: 128, kernel: 3, stride: 1 },
]
export const DIMS = LAYERS.at(-1)!.out
export const CLASSES = 10

/** Batch norm folded in: `conv<i>.weight` OIHW, `conv<i>.bias`, `fc.weight`, `fc.bias`. */
export type Weights = Flat.Flat<NdArray.NdArray<"float32">>

/** The weights, in half precision. */
export const { FILE } = WeightsFile

export const protocol = (base: Protocol.Protocol): Protocol.Protocol => {
  const { scoreInput: _, kidSubset: __, ...rest } = base
  return {
    ...rest,
    resizer: "pillow-bilinear",
    normalise: "2·x/255 - 1",
    scale: [2 / 255, 2 / 255, 2 / 255],
    shift: [-1, -1, -1],
    logits: "logits",
  }
}

/** The bytes of a model `x [N, 3, 32, 32] → features [N, 128], logits [N, 10]`. */
export const model = (weights: Weights): Uint8Array => {
  const g = Graph.builder()
  const n = { param: "N" }
  const constant = (path: string, shape: readonly number[]): Graph.Value => {
    const tensor = weights[path]
    if (tensor === undefined || tensor.shape.join() !== shape.join())
      return Failure.raise(
        "BadTensor",
        `expected a tensor [${shape}], found ${tensor === undefined ? "none" : `[${tensor.shape}]`}`,
        { path },
      )
    return g.constant(tensor)
  }
  let [x, channels] = [g.input("x", "float32", [n, 3, SIZE, SIZE]), 3]
  LAYERS.forEach(({ out, kernel, stride }, i) => {
    const [weight, bias] = [
      constant(`conv${i}.weight`, [out, channels, kernel, kernel]),
      constant(`conv${i}.bias`, [out]),
    ]
    const geometry = { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [1, 1, 1, 1] }
    x = g.op("Relu", [g.op("Conv", [x, weight, bias], geometry)])
    channels = out
  })
  const features = g.op("Flatten", [g.op("GlobalAveragePool", [x])], { axis: 1 })
  g.output("features", features, "float32", [n, DIMS])
  const [weight, bias] = [constant("fc.weight", [CLASSES, DIMS]), constant("fc.bias", [CLASSES])]
  g.output("logits", g.op("Gemm", [features, weight, bias], { transB: 1 }), "float32", [n, CLASSES])
  return Graph.encode(g.graph())
}

/** The model of the weights in the package, and their hash. */
export const load = (): TE.TaskEither<Failure.Failure, { readonly model: Uint8Array; readonly sha256: string }> =>
  pipe(
    TE.Do,
    TE.bind("bytes", () => Failure.attempt(WeightsFile.read)),
    TE.bind("model", ({ bytes }) =>
      pipe(
        TE.fromEither(Safetensors.parse(bytes)),
        TE.flatMap(({ tensors }) =>
          Failure.attempt(async () =>
            model(
              Object.fromEntries(Object.entries(tensors).map(([path, tensor]) => [path, NdArray.toFloat32(tensor)])),
            ),
          ),
        ),
      ),
    ),
    TE.let("sha256", ({ bytes }) => Sha256.make().update(bytes).hex()),
    TE.mapLeft(Failure.inFile(FILE)),
  )
