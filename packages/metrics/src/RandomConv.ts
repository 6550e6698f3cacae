/**
 * A stand-in for machines without Inception weights: a small convolutional network with fixed random filters. Means of random
 * nonlinear features tell distributions of colour and texture apart; the scores compare with nothing but themselves.
 */
import { NdArray, Rng } from "@adafm/core"
import { Resize } from "@adafm/data"
import { Graph } from "@adafm/onnx"
import type * as Protocol from "./Protocol.ts"

export const NAME = "random-conv"
/** Height and width of the input. */
export const SIZE = 32
const CHANNELS = [48, 96, 192] as const
/** The means over space of every level. */
export const DIMS = CHANNELS[0] + CHANNELS[1] + CHANNELS[2]

/** Filters of an earlier version give other scores: count up when anything here changes. */
const VERSION = 1

export const protocol = (base: Protocol.Protocol): Protocol.Protocol => ({
  ...base,
  resize: "Pillow bilinear, antialiased, 8 bits",
  normalise: "2·x/255 - 1",
  toSize: (image, h, w) =>
    NdArray.toFloat32(
      image.dtype === "uint8"
        ? Resize.pillow(image as NdArray.NdArray<"uint8">, h, w, "bilinear")
        : Resize.pillowFloat(image as NdArray.NdArray<"float32">, h, w, "bilinear"),
    ),
  scale: [2 / 255, 2 / 255, 2 / 255],
  shift: [-1, -1, -1],
})

/** The bytes of a model `x [N, 3, 32, 32] → features [N, DIMS]`. */
export const model = (): Uint8Array => {
  const g = Graph.builder()
  const n = { param: "N" }
  let x = g.input("x", "float32", [n, 3, SIZE, SIZE])
  let cin = 3
  const features: Graph.Value[] = []
  CHANNELS.forEach((cout, level) => {
    const key = Rng.at(VERSION, `metrics/random-conv/${level}`)
    const weight = g.constant(Rng.normal(key, [cout, cin, 3, 3], 0, Math.sqrt(2 / (9 * cin))))
    const conv = g.op("Conv", [x, weight], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] })
    const active = g.op("LeakyRelu", [conv], { alpha: Graph.float(0.2) })
    x = g.op("AveragePool", [active], { kernel_shape: [2, 2], strides: [2, 2] })
    features.push(g.op("Flatten", [g.op("GlobalAveragePool", [x])], { axis: 1 }))
    cin = cout
  })
  g.output("features", g.op("Concat", features, { axis: 1 }), "float32", [n, DIMS])
  return Graph.encode(g.graph())
}
