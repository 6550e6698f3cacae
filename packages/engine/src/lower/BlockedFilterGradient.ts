/**
 * The gradient of a convolution with respect to its filter, as one blocked convolution whose channels are the samples: x is the
 * image, dy is a kernel as large as a feature map, and the pixels of the result are the taps of the filter. The b channels in a
 * block of x lie next to each other as columns, so the kernel is dilated by b along a row; a stride of the original convolution
 * becomes a dilation too.
 *
 * Each map is cut into strips of rows, and each strip counts as a sample. There are enough strips to make the number of samples a
 * multiple of the block and to keep the kernel of one strip in the L2 cache. Every b samples are a group of the convolution; the
 * results of the groups are summed.
 */
import type { Graph } from "@adafm/onnx"
import * as Context from "./Context.ts"
import type { Problem } from "./FilterProblem.ts"

/** Limit for the part of a kernel that a thread reads repeatedly, in bytes; half of a common L2 cache. */
const CACHE = 512 * 1024
/** Number of filter blocks that ONNX Runtime's inner loop processes together. */
const FILTERS_AT_A_TIME = 4

/** Number of strips for each map; `undefined` if the samples cannot fill whole blocks. */
const stripsOf = ({ batch, height, width, cout }: Problem, block: number): number | undefined => {
  if (batch % block !== 0 && block % batch !== 0) return undefined
  const atATime = Math.min(cout / block, FILTERS_AT_A_TIME)
  const bytes = (strips: number): number => 4 * (height / strips) * width * block * block * atATime
  const possible = Array.from({ length: height }, (_, i) => i + 1).filter(
    (strips) => height % strips === 0 && (batch * strips) % block === 0,
  )
  return possible.find((strips) => bytes(strips) <= CACHE) ?? possible.at(-1)
}

export const fits = (p: Problem, block: number): boolean =>
  (p.cin % block === 0 || p.cin < block) && p.cout % block === 0 && stripsOf(p, block) !== undefined

/** How the channels of x are stored: in whole blocks, or one by one (NCHW) if there are fewer than a block. */
const blocksOf = (cin: number, block: number): readonly [blocks: number, channels: number] =>
  cin < block ? [cin, 1] : [cin / block, block]

/** dy with the samples as the kernel's input channels: `[group, block of outputs, rows, columns, samples of the group, outputs]`. */
const kernelOf = (ctx: Context.Context, { dy, batch, height, width, cout }: Problem, strips: number): Graph.Value => {
  const { g, reshape } = ctx
  const block = ctx.target.block!
  const [rows, blocks, groups] = [height / strips, cout / block, (batch * strips) / block]
  return ctx.once(`dy over samples ${dy.id} ${strips}`, () => {
    const pixels = rows * width
    const joined = block / batch // strips whose samples share a group
    const [split, perm] =
      batch % block === 0
        ? [
            [batch / block, block, blocks, strips, pixels, block],
            [3, 0, 2, 4, 1, 5],
          ]
        : [
            [batch, blocks, strips / joined, joined, pixels, block],
            [2, 1, 4, 3, 0, 5],
          ]
    const moved = g.op("Transpose", [reshape(ctx.as(dy, "blocked"), split)], { perm })
    return reshape(moved, [groups * cout, block, rows, width])
  })
}

/** x, zero-padded, with the samples as channels: `[block of inputs, group, rows, columns × inputs of the block, samples]`. */
const imageOf = (ctx: Context.Context, p: Problem, strips: number): Graph.Value => {
  const { g, reshape } = ctx
  const block = ctx.target.block!
  const { x, batch, height, width, cin, pads } = p
  const [, h, w] = x.shape as readonly [number, number, number, number]
  const [blocks, channels] = blocksOf(cin, block)
  // exactly the pixels that the taps read
  const reach = (out: number, axis: 0 | 1): number => (out - 1) * p.strides[axis] + p.kernel[axis]
  const [tall, wide, full] = [reach(height / strips, 0), reach(width, 1), reach(height, 0)]
  const [top, left] = pads
  const around = [top, left * channels, full - h - top, (wide - w - left) * channels]
  const key = `x over samples ${x.id} ${strips} ${height} ${[...p.strides, ...around, tall, wide].join()}`
  return ctx.once(key, () => {
    const plain = reshape(ctx.as(x, channels === 1 ? "nchw" : "blocked"), [batch * blocks, h, w * channels])
    const padded = around.some((n) => n !== 0)
      ? g.op("Pad", [plain, g.ints([0, around[0]!, around[1]!, 0, around[2]!, around[3]!])])
      : plain
    const groups = (batch * strips) / block
    const inOrder = groups === 1 && strips === 1
    // neighbouring strips share the rows that the taps of both read
    const step = (height / strips) * p.strides[0]
    const order = [...Array(blocks).keys()].flatMap((c) =>
      [...Array(strips * batch).keys()].flatMap((sample) =>
        Array.from({ length: tall }, (_, row) => {
          const [strip, n] = [Math.floor(sample / batch), sample % batch]
          return (n * blocks + c) * full + strip * step + row
        }),
      ),
    )
    const cut = inOrder
      ? padded
      : g.op("Gather", [reshape(padded, [batch * blocks * full, wide * channels]), g.ints(order)], { axis: 0 })
    // samples first; all other dimensions count as pixels
    const images = inOrder
      ? [1, block, blocks * tall * wide * channels, 1]
      : [blocks * groups, block, tall * wide * channels, 1]
    const turned = g.op("ReorderInput", [reshape(cut, images)], { channels_last: 0 }, { domain: Context.BLOCKED })
    return reshape(turned, [blocks, groups * block, tall, wide * channels])
  })
}

/** The filter gradient in the layout `blockedFilter`. */
export const lower = (ctx: Context.Context, p: Problem): Graph.Value => {
  const { g, reshape } = ctx
  const block = ctx.target.block!
  const { batch, height, width, cin, cout } = p
  const [kh, kw] = p.kernel
  const strips = stripsOf(p, block)!
  const groups = (batch * strips) / block
  const [blocks, channels] = blocksOf(cin, block)
  const y = g.op(
    "Conv",
    [imageOf(ctx, p, strips), kernelOf(ctx, p, strips)],
    {
      kernel_shape: [height / strips, width],
      strides: [1, 1],
      dilations: [p.strides[0], p.strides[1] * channels],
      pads: [0, 0, 0, 0],
      group: groups,
    },
    { domain: Context.BLOCKED },
  )
  const tile = kh * kw * channels * block
  const summed =
    groups === 1
      ? y
      : g.op("ReduceSum", [reshape(y, [blocks, groups, (cout / block) * tile]), g.ints([1])], { keepdims: 0 })
  const swapped =
    blocks === 1 ? summed : g.op("Transpose", [reshape(summed, [blocks, cout / block, tile])], { perm: [1, 0, 2] })
  return reshape(swapped, [cout, cin, kh, kw])
}
