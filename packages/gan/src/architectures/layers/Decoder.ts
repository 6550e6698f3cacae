/**
 * FastGAN's decoder: it makes an image of a discriminator's features, so that the features must describe the photograph. Gated
 * up-blocks from 8 px, then 3 × 3 filters and tanh.
 */
import { type BatchNorm, Conv, type Leaf, Ops } from "@adafm/core"
import type * as tf from "@tensorflow/tfjs-core"
import * as GatedConv from "./GatedConv.ts"

interface Block<A> {
  readonly 1: { readonly weight: A }
  readonly 2: BatchNorm.BatchNorm<A>
}
export interface Decoder<A> {
  readonly main: { readonly [index: string]: Block<A> | { readonly weight: A } }
}

/** Widths of the blocks, in units of the decoder's width. */
const MULTIPLES = [4, 2, 2, 1] as const

/** @param blocks number of doublings from 8 px, at most 4 */
export const spec = (fin: number, unit: number, blocks: number): Decoder<Leaf.Leaf> => {
  const widths = [fin, ...MULTIPLES.slice(0, blocks).map((m) => m * unit)]
  return {
    main: {
      ...Object.fromEntries(
        widths
          .slice(1)
          .map((fout, i) => [
            i + 1,
            { 1: GatedConv.filter([2 * fout, widths[i]!, 3, 3]), 2: GatedConv.norm(2 * fout) },
          ]),
      ),
      [blocks + 1]: GatedConv.filter([3, widths.at(-1)!, 3, 3]),
    },
  }
}

/** `[B, 8, 8, fin] → [B, 8·2ᵇ, 8·2ᵇ, 3]` */
export const apply = ({ main }: Decoder<tf.Tensor>, x: tf.Tensor, which: "stored" | "batch"): tf.Tensor => {
  const last = Object.keys(main).length
  let h = x
  for (let i = 1; i < last; i++) {
    const block = main[i] as Block<tf.Tensor>
    h = GatedConv.apply({ conv: block[1], norm: block[2] }, Ops.upsample2(h), which).y
  }
  return Ops.tanh(Conv.apply(main[last] as { readonly weight: tf.Tensor }, h, { pad: 1 }))
}
