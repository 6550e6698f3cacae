/**
 * A mode is a whole protocol: how an image becomes the network's input, which network it is, and how scores are computed. Modes
 * are named after the programs whose numbers they reproduce.
 */
import { NdArray } from "@adafm/core"
import { Resize } from "@adafm/data"
import type * as Inception from "./extractors/Inception.ts"

export const MODES = ["pytorch-fid", "tf-compat", "clean", "authors"] as const
export type Mode = (typeof MODES)[number]

/** `[H, W, 3]` on the scale 0 … 255; float32 if the training's dither was added. */
export type Picture = NdArray.NdArray<"uint8" | "float32">

type Channels = readonly [number, number, number]

/** `network input = scale · value + shift`, per channel, from 0 … 255. */
export interface Affine {
  readonly scale: Channels
  readonly shift: Channels
}

const clipped = (image: NdArray.NdArray<"float32">): NdArray.NdArray<"float32"> => ({
  ...image,
  data: image.data.map((v) => Math.min(255, Math.max(0, v))),
})

/** Resizing a picture to the network's size, 0 … 255 to 0 … 255. By name, so that a protocol is plain data. */
const RESIZERS = {
  torch: {
    about: "PyTorch bilinear, align_corners=False, no antialiasing",
    toSize: (image, h, w) => Resize.torch(image, h, w),
  },
  tf1: {
    about: "TensorFlow 1 bilinear, no half-pixel centres",
    toSize: (image, h, w) => Resize.tf1(image, h, w),
  },
  "pillow-bicubic": {
    about: "Pillow bicubic per float channel, antialiased, clipped to 0 … 255",
    toSize: (image, h, w) => clipped(Resize.pillowFloat(NdArray.toFloat32(image), h, w, "bicubic")),
  },
  "pillow-bilinear": {
    about: "Pillow bilinear, antialiased, 8 bits",
    toSize: (image, h, w) =>
      NdArray.toFloat32(
        image.dtype === "uint8"
          ? Resize.pillow(image as NdArray.NdArray<"uint8">, h, w, "bilinear")
          : Resize.pillowFloat(image as NdArray.NdArray<"float32">, h, w, "bilinear"),
      ),
  },
} as const satisfies Readonly<
  Record<
    string,
    {
      readonly about: string
      readonly toSize: (image: Picture, height: number, width: number) => NdArray.NdArray<"float32">
    }
  >
>
export type Resizer = keyof typeof RESIZERS

export interface Protocol extends Affine {
  readonly mode: Mode
  readonly network: Inception.Network
  readonly resizer: Resizer
  /** For the provenance. */
  readonly normalise: string
  /** Which logits the Inception Score uses. */
  readonly logits: "logits" | "logits_unbiased"
  /** The affine map of the Inception Score, if it differs from that of the features. */
  readonly scoreInput?: Affine
  /** False if the splits of the Inception Score keep the order of the images. */
  readonly shuffled?: false
  /** KID over 100 random subsets of this many images; by default over the whole sets, up to `KID_WHOLE` images. */
  readonly kidSubset?: number
  /** Images after the last whole batch of this size are dropped. */
  readonly batch?: number
}

const grey = (v: number): Channels => [v, v, v]

/** torchvision's `transform_input`, which the authors apply to images that are already in [-1, 1] (spec, section 5). */
const AUTHORS = { sd: [0.229, 0.224, 0.225], mean: [0.485, 0.456, 0.406] } as const
const ofAuthors = (f: (sd: number, mean: number) => number): Channels => [
  f(AUTHORS.sd[0], AUTHORS.mean[0]),
  f(AUTHORS.sd[1], AUTHORS.mean[1]),
  f(AUTHORS.sd[2], AUTHORS.mean[2]),
]

const centred128 = { normalise: "(x - 128) / 128", scale: grey(1 / 128), shift: grey(-1) }
const unit = { normalise: "2·x/255 - 1", scale: grey(2 / 255), shift: grey(-1) }

const protocols: Readonly<Record<Mode, Protocol>> = {
  /** mseitzer/pytorch-fid */
  "pytorch-fid": { mode: "pytorch-fid", network: "fid", resizer: "torch", ...unit, logits: "logits" },
  /** toshas/torch-fidelity, which follows the TensorFlow 1 original */
  "tf-compat": {
    mode: "tf-compat",
    network: "fid",
    resizer: "tf1",
    ...centred128,
    logits: "logits_unbiased",
    kidSubset: 1000,
  },
  /** GaParmar/clean-fid */
  clean: {
    mode: "clean",
    network: "fid",
    resizer: "pillow-bicubic",
    ...centred128,
    logits: "logits_unbiased",
    kidSubset: 1000,
  },
  /** MiaoyunZhao/GANTransferLimitedData: torchvision's network, a second normalisation, batches of 16 */
  authors: {
    mode: "authors",
    network: "torchvision",
    resizer: "torch",
    normalise: "x·σ/0.5 + (μ - 0.5)/0.5 of ImageNet on x in [-1, 1]",
    shuffled: false,
    scale: ofAuthors((sd) => (sd / 0.5) * (2 / 255)),
    shift: ofAuthors((sd, mean) => (mean - 0.5) / 0.5 - sd / 0.5),
    logits: "logits",
    scoreInput: { scale: unit.scale, shift: unit.shift },
    batch: 16,
  },
}

export const of = (mode: Mode): Protocol => protocols[mode]

/** For the provenance: how pictures are resized to the network's size. */
export const resizeOf = ({ resizer }: Pick<Protocol, "resizer">, [h, w]: readonly [number, number]): string =>
  `${RESIZERS[resizer].about}, to ${h} × ${w}`

/** The network's input of one picture, planar: for the features, and for the Inception Score if that differs. `[H, W, 3] → [3, height, width]` each */
export const inputs = (
  { resizer, scale, shift, scoreInput }: Pick<Protocol, "resizer" | "scale" | "shift" | "scoreInput">,
  image: Picture,
  [height, width]: readonly [number, number],
): readonly Float32Array[] => {
  const { data } = RESIZERS[resizer].toSize(image, height, width)
  const area = height * width
  const planar = ({ scale, shift }: Affine): Float32Array => {
    const out = new Float32Array(3 * area)
    for (let c = 0; c < 3; c++) {
      const [to, a, b] = [c * area, scale[c]!, shift[c]!]
      for (let p = 0; p < area; p++) out[to + p] = data[p * 3 + c]! * a + b
    }
    return out
  }
  return [{ scale, shift }, ...(scoreInput ? [scoreInput] : [])].map(planar)
}
