/**
 * FastGAN's discriminator: a large part that sees the whole image and a small part that sees it reduced, both with a logit for each of
 * 5 × 5 patches, and decoders that reconstruct photographs from the features.
 */
import { type BatchNorm, Conv, Flat, type Leaf, Ops, Shape } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type { Judgement, Tensors } from "../Network.ts"
import * as Decoder from "./layers/Decoder.ts"
import * as DownBlock from "./layers/DownBlock.ts"
import * as GatedConv from "./layers/GatedConv.ts"
import * as SkipExcitation from "./layers/SkipExcitation.ts"

export interface Sizes {
  readonly resolution: number
  readonly ndf: number
  readonly decoder: number
}

interface Filter<A> {
  readonly weight: A
}

export type Discriminator<A> = {
  readonly down_from_big: { readonly 0: Filter<A>; readonly 2?: Filter<A>; readonly 3?: BatchNorm.BatchNorm<A> }
  readonly rf_big: { readonly 0: Filter<A>; readonly 1: BatchNorm.BatchNorm<A>; readonly 3: Filter<A> }
  readonly down_from_small: { readonly 0: Filter<A>; readonly [index: string]: Filter<A> | DownBlock.Down<A> }
  readonly rf_small: Filter<A>
  readonly decoder_big: Decoder.Decoder<A>
  readonly decoder_part: Decoder.Decoder<A>
  readonly decoder_small: Decoder.Decoder<A>
} & { readonly [block: `down_${number}`]: DownBlock.DownBlock<A> } & {
  readonly [block: `se_${number}_${number}`]: SkipExcitation.SkipExcitation<A>
}

/** Logits of an image: 5 × 5 of the large part, then 5 × 5 of the small part. */
export const PATCHES = 50

/** The last features have 8 px. */
const LAST = 8
/** The down-blocks begin at this size at most; larger images are halved before. */
const LARGEST = 256

/** The size of the first features. */
const firstSide = ({ resolution }: Sizes): number => Math.min(LARGEST, resolution)

/** Channels of the features of `pixels` px, in units of ndf: 8 at 8 px, then half as many at each doubling. */
const width = ({ ndf }: Sizes, pixels: number): number => Math.max(1, Math.floor((64 * ndf) / pixels))
/** The same in the small part, which has half as many. */
const smallWidth = (sizes: Sizes, pixels: number): number => width(sizes, 2 * pixels)

/** The authors' number of the features of `pixels` px. */
const number = (pixels: number): number => 512 / pixels

/** The sizes of the features after each halving, from the largest: resolution / 2, …, 8 px. */
const halvings = (from: number): readonly number[] =>
  Array.from({ length: Math.log2(from / LAST) }, (_, k) => from / 2 ** (k + 1))

/** Side of the image that the small part sees and of what the decoders make. */
const reducedSide = ({ resolution }: Sizes): number => Math.min(128, resolution / 2)

/** Features of `pixels` px are scaled by those of 8 times the size, if there are any. */
const excitedBy = (sizes: Sizes, pixels: number): number | undefined =>
  8 * pixels <= firstSide(sizes) ? 8 * pixels : undefined

/** A down-block by the size that it makes, and what excites its result. */
export interface Block {
  readonly pixels: number
  readonly name: `down_${number}`
  readonly excitation?: { readonly name: `se_${number}_${number}`; readonly from: number }
}

/** The down-blocks of the large part, from the image. */
export const blocks = (sizes: Sizes): readonly Block[] =>
  halvings(firstSide(sizes)).map((pixels) => {
    const from = excitedBy(sizes, pixels)
    return {
      pixels,
      name: `down_${number(pixels)}`,
      ...(from !== undefined && { excitation: { name: `se_${number(from)}_${number(pixels)}`, from } }),
    }
  })

/** Up to 256 px one convolution; above, one or two that halve the image. */
const stemSpec = (sizes: Sizes): Discriminator<Leaf.Leaf>["down_from_big"] => {
  const { resolution } = sizes
  const side = firstSide(sizes)
  const kernel = resolution > side ? 4 : 3
  if (resolution < 4 * side) return { 0: GatedConv.filter([width(sizes, side), 3, kernel, kernel]) }
  return {
    0: GatedConv.filter([width(sizes, 2 * side), 3, 4, 4]),
    2: GatedConv.filter([width(sizes, side), width(sizes, 2 * side), 4, 4]),
    3: GatedConv.norm(width(sizes, side)),
  }
}

export const spec = (sizes: Sizes): Discriminator<Leaf.Leaf> => {
  const { ndf, decoder } = sizes
  const side = reducedSide(sizes)
  const [first, ...rest] = halvings(side)
  const down = blocks(sizes)
  const decoderOf = (fin: number): Decoder.Decoder<Leaf.Leaf> => Decoder.spec(fin, decoder, Math.log2(side / LAST))
  return {
    down_from_big: stemSpec(sizes),
    ...Object.fromEntries(
      down.map(({ name, pixels }) => [name, DownBlock.spec(width(sizes, 2 * pixels), width(sizes, pixels))]),
    ),
    ...Object.fromEntries(
      down.flatMap(({ pixels, excitation }) =>
        excitation === undefined
          ? []
          : [[excitation.name, SkipExcitation.spec(width(sizes, excitation.from), width(sizes, pixels))]],
      ),
    ),
    rf_big: {
      0: GatedConv.filter([16 * ndf, width(sizes, LAST), 1, 1]),
      1: GatedConv.norm(16 * ndf),
      3: GatedConv.filter([1, 16 * ndf, 4, 4]),
    },
    down_from_small: {
      0: GatedConv.filter([smallWidth(sizes, first!), 3, 4, 4]),
      ...Object.fromEntries(
        rest.map((pixels, k) => [
          k + 2,
          DownBlock.simpleSpec(smallWidth(sizes, 2 * pixels), smallWidth(sizes, pixels)),
        ]),
      ),
    },
    rf_small: GatedConv.filter([1, smallWidth(sizes, LAST), 4, 4]),
    decoder_big: decoderOf(width(sizes, LAST)),
    decoder_part: decoderOf(width(sizes, 2 * LAST)),
    decoder_small: decoderOf(smallWidth(sizes, LAST)),
  }
}

const unflatten = (params: Tensors): Discriminator<tf.Tensor> =>
  Flat.unflatten(params) as unknown as Discriminator<tf.Tensor>

/** One pixel of every square cell, the upper left one, as the authors reduce images for the small part. */
const thinned = (x: tf.Tensor, side: number): tf.Tensor => {
  const channels = x.shape[3]!
  return Ops.conv2d(x, tf.reshape(tf.eye(channels), [1, 1, channels, channels]), { stride: x.shape[1]! / side })
}

/** Means of square cells until the side is reached. */
const reduced = (x: tf.Tensor, side: number): tf.Tensor => (x.shape[1]! > side ? reduced(Ops.avgPool2(x), side) : x)

interface Features {
  /** `[B, 16, 16, 4·ndf]` */
  readonly middle: tf.Tensor
  /** `[B, 8, 8, 8·ndf]` */
  readonly last: tf.Tensor
  /** Of the small part. `[B, 8, 8, 4·ndf]` */
  readonly small: tf.Tensor
}

const smallFeatures = (
  { down_from_small }: Discriminator<tf.Tensor>,
  x: tf.Tensor,
  which: DownBlock.Which,
): tf.Tensor => {
  let h: tf.Tensor = Ops.leakyRelu(Conv.apply(down_from_small[0], x, { stride: 2, pad: 1 }), DownBlock.SLOPE)
  for (let k = 2; down_from_small[k] !== undefined; k++)
    h = DownBlock.simple(down_from_small[k] as DownBlock.Down<tf.Tensor>, h, which)
  return h
}

const featuresOf = (sizes: Sizes, p: Discriminator<tf.Tensor>, x: tf.Tensor, which: DownBlock.Which): Features => {
  const { resolution } = sizes
  Shape.assert(x, ["B", resolution, resolution, 3], "x")
  const { 0: first, 2: second, 3: norm } = p.down_from_big
  const halving = { stride: resolution > firstSide(sizes) ? 2 : 1, pad: 1 }
  const h = Ops.leakyRelu(Conv.apply(first, x, halving), DownBlock.SLOPE)
  const seen: Record<number, tf.Tensor> = {
    [firstSide(sizes)]:
      second === undefined || norm === undefined ? h : DownBlock.activate(norm, Conv.apply(second, h, halving), which),
  }
  for (const { pixels, name, excitation } of blocks(sizes)) {
    const y = DownBlock.apply(p[name]!, seen[2 * pixels]!, which)
    seen[pixels] = excitation === undefined ? y : SkipExcitation.apply(p[excitation.name]!, seen[excitation.from]!, y)
  }
  const small = smallFeatures(p, thinned(x, reducedSide(sizes)), which)
  return { middle: seen[2 * LAST]!, last: seen[LAST]!, small }
}

export const features = (sizes: Sizes, params: Tensors, x: tf.Tensor, which: DownBlock.Which): Features =>
  featuresOf(sizes, unflatten(params), x, which)

/** One quadrant of images, chosen by `part [4]`, which is 1 at one place and 0 elsewhere: upper left, upper right, lower left, lower right. */
const quadrant = (x: tf.Tensor, part: tf.Tensor): tf.Tensor => {
  const [batch, height, width, channels] = x.shape as [number, number, number, number]
  const [h, w] = [height / 2, width / 2]
  return Array.from({ length: 4 }, (_, k) =>
    tf.mul(tf.slice(x, [0, h * Math.floor(k / 2), w * (k % 2), 0], [batch, h, w, channels]), tf.slice(part, [k], [1])),
  ).reduce((a, b) => tf.add(a, b))
}

/** What the decoders make of features: the image, one quadrant of it, and the image once more, of the small part's features. */
const decoded = (
  p: Discriminator<tf.Tensor>,
  { middle, last, small }: Features,
  which: DownBlock.Which,
  part: tf.Tensor,
): readonly [tf.Tensor, tf.Tensor, tf.Tensor] => [
  Decoder.apply(p.decoder_big, last, which),
  Decoder.apply(p.decoder_part, quadrant(middle, part), which),
  Decoder.apply(p.decoder_small, small, which),
]

/** What the decoders make of images. `[B, h, h, 3]` each, h half the image's side, at most 128 @param part see `judge` */
export const reconstructions = (
  sizes: Sizes,
  params: Tensors,
  x: tf.Tensor,
  which: DownBlock.Which,
  part: tf.Tensor,
): readonly [tf.Tensor, tf.Tensor, tf.Tensor] => {
  const p = unflatten(params)
  return decoded(p, featuresOf(sizes, p, x, which), which, part)
}

const distance = (made: tf.Tensor, wanted: tf.Tensor): tf.Tensor =>
  tf.mean(tf.abs(tf.sub(made, reduced(wanted, made.shape[1]!))))

const logitsOf = (p: Discriminator<tf.Tensor>, { last, small }: Features, which: DownBlock.Which): tf.Tensor2D => {
  const flat = (y: tf.Tensor): tf.Tensor => tf.reshape(y, [y.shape[0]!, -1])
  const hidden = DownBlock.activate(p.rf_big[1], Conv.apply(p.rf_big[0], last), which)
  return tf.concat([flat(Conv.apply(p.rf_big[3], hidden)), flat(Conv.apply(p.rf_small, small))], 1) as tf.Tensor2D
}

/** `[B, PATCHES]`, large for real images. */
export const logits = (sizes: Sizes, params: Tensors, x: tf.Tensor, which: DownBlock.Which): tf.Tensor2D => {
  const p = unflatten(params)
  return logitsOf(p, featuresOf(sizes, p, x, which), which)
}

/** The first or second half of a batch. */
const half = <T extends tf.Tensor>(x: T, k: 0 | 1): T => {
  const [batch, ...rest] = x.shape as [number, ...number[]]
  return tf.slice(x, [(k * batch) / 2, ...rest.map(() => 0)], [batch / 2, ...rest]) as T
}

/**
 * Both kinds of images in one batch, so that batch norm does not hide what distinguishes all real from all fake images, such as noise
 * or contrast; the authors pass them one after the other. The reconstruction is the mean absolute difference of what a decoder makes
 * of a real image and the image, summed over the three decoders.
 * @param part the quadrant of the image that the second decoder reconstructs, see `quadrant`; no reconstruction without it
 */
export const judge = (
  sizes: Sizes,
  params: Tensors,
  { real, fake }: Readonly<Record<"real" | "fake", tf.Tensor>>,
  part?: tf.Tensor,
): Judgement => {
  const p = unflatten(params)
  const features = featuresOf(sizes, p, tf.concat([real, fake], 0), "batch")
  const both = logitsOf(p, features, "batch")
  const judged = { real: half(both, 0), fake: half(both, 1) }
  if (part === undefined) return judged
  const { middle, last, small } = features
  const ofReal = { middle: half(middle, 0), last: half(last, 0), small: half(small, 0) }
  const made = decoded(p, ofReal, "batch", part)
  const terms = [distance(made[0], real), distance(made[1], quadrant(real, part)), distance(made[2], real)]
  return { ...judged, reconstruction: terms.reduce((a, b) => tf.add(a, b)) as tf.Scalar }
}
