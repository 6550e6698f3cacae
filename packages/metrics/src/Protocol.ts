/**
 * A mode is a whole protocol: how an image becomes the network's input, which network, and how scores are counted. The names
 * are those of the programs whose numbers they reproduce.
 */
import { NdArray } from "@adafm/core"
import { Resize } from "@adafm/data"
import type * as Inception from "./Inception.ts"

export const MODES = ["pytorch-fid", "tf-compat", "clean", "authors"] as const
export type Mode = (typeof MODES)[number]

/** `[H, W, 3]` on the scale 0 … 255; float where reals carry the training's dither. */
export type Picture = NdArray.NdArray<"uint8" | "float32">

export interface Protocol {
  readonly mode: Mode
  readonly network: Inception.Network
  /** For the provenance. */
  readonly resize: string
  readonly normalise: string
  /** 0 … 255 in, 0 … 255 out. */
  readonly toSize: (image: Picture, height: number, width: number) => NdArray.NdArray<"float32">
  /** `network input = scale · value + shift`, per channel, from 0 … 255. */
  readonly scale: readonly [number, number, number]
  readonly shift: readonly [number, number, number]
  /** Which logits the Inception Score reads. */
  readonly logits: "logits" | "logits_unbiased"
  /** The Inception Score's own affine map, where it differs. */
  readonly scoreInput?: Pick<Protocol, "scale" | "shift">
  /** KID over random subsets of this many images, else over the whole sets. */
  readonly kidSubset?: number
  /** Images beyond the last whole batch of this size are left out. */
  readonly batch?: number
}

const grey = (v: number): readonly [number, number, number] => [v, v, v]

const clipped = (image: NdArray.NdArray<"float32">): NdArray.NdArray<"float32"> => ({
  ...image,
  data: image.data.map((v) => Math.min(255, Math.max(0, v))),
})

/** torchvision's `transform_input`, applied by the authors to images that are in [-1, 1] already (spec, section 5). */
const AUTHORS = { sd: [0.229, 0.224, 0.225], mean: [0.485, 0.456, 0.406] } as const
const ofAuthors = (f: (sd: number, mean: number) => number): readonly [number, number, number] => [
  f(AUTHORS.sd[0], AUTHORS.mean[0]),
  f(AUTHORS.sd[1], AUTHORS.mean[1]),
  f(AUTHORS.sd[2], AUTHORS.mean[2]),
]

const torchBilinear = {
  resize: "PyTorch bilinear, align_corners=False, no antialiasing",
  toSize: (image: Picture, h: number, w: number) => Resize.torch(image, h, w),
}
const centred128 = { normalise: "(x - 128) / 128", scale: grey(1 / 128), shift: grey(-1) }
const unit = { normalise: "2·x/255 - 1", scale: grey(2 / 255), shift: grey(-1) }

const protocols: Readonly<Record<Mode, Protocol>> = {
  /** mseitzer/pytorch-fid */
  "pytorch-fid": { mode: "pytorch-fid", network: "fid", ...torchBilinear, ...unit, logits: "logits" },
  /** toshas/torch-fidelity, which follows the TensorFlow 1 original */
  "tf-compat": {
    mode: "tf-compat",
    network: "fid",
    resize: "TensorFlow 1 bilinear, no half-pixel centres",
    toSize: (image, h, w) => Resize.tf1(image, h, w),
    ...centred128,
    logits: "logits_unbiased",
    kidSubset: 1000,
  },
  /** GaParmar/clean-fid */
  clean: {
    mode: "clean",
    network: "fid",
    resize: "Pillow bicubic per float channel, antialiased, clipped to 0 … 255",
    toSize: (image, h, w) => clipped(Resize.pillowFloat(NdArray.toFloat32(image), h, w, "bicubic")),
    ...centred128,
    logits: "logits_unbiased",
  },
  /** MiaoyunZhao/GANTransferLimitedData: torchvision's network, a second normalisation, batches of 16 */
  authors: {
    mode: "authors",
    network: "torchvision",
    ...torchBilinear,
    normalise: "x·σ/0.5 + (μ - 0.5)/0.5 of ImageNet on x in [-1, 1]",
    scale: ofAuthors((sd) => (sd / 0.5) * (2 / 255)),
    shift: ofAuthors((sd, mean) => (mean - 0.5) / 0.5 - sd / 0.5),
    logits: "logits",
    scoreInput: { scale: unit.scale, shift: unit.shift },
    batch: 16,
  },
}

export const of = (mode: Mode): Protocol => protocols[mode]

/** Writes one image into a batch `[N, 3, height, width]` at place `n`. */
export const prepare = (
  { toSize, scale, shift }: Pick<Protocol, "toSize" | "scale" | "shift">,
  image: Picture,
  batch: NdArray.NdArray<"float32">,
  n: number,
): void => {
  const [, , height, width] = batch.shape as [number, number, number, number]
  const { data } = toSize(image, height, width)
  const area = height * width
  for (let c = 0; c < 3; c++) {
    const [from, a, b] = [(n * 3 + c) * area, scale[c]!, shift[c]!]
    for (let p = 0; p < area; p++) batch.data[from + p] = data[p * 3 + c]! * a + b
  }
}
