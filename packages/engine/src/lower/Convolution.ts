/**
 * Convolutions with their gradients with respect to the input, pooling and upsampling. On ONNX Runtime's CPU provider they become
 * the blocked operators of `com.microsoft.nchwc`, which accept filters computed at run time if these are blocked already. Other
 * providers get plain ONNX on NCHW.
 */
import type { Graph } from "@adafm/onnx"
import * as Ir from "../trace/Ir.ts"
import * as Context from "./Context.ts"
import * as Layout from "./Layout.ts"

type Quad = readonly [number, number, number, number]
const ints = (x: Ir.Attrs[string]): readonly number[] => x as readonly number[]

/** Operations fused into a convolution, in this order; `Fuse.ts` finds them. */
export interface Epilogue {
  readonly bias?: Ir.Value
  readonly sum?: Ir.Value
  readonly activation?: { readonly type: "Relu" | "LeakyRelu"; readonly alpha: number }
}

/** A filter in ONNX's order with its logical shape `[kh, kw, in, out]`. */
interface Filter {
  readonly shape: Quad
  readonly oihw: () => Graph.Value
  readonly blocked: () => Graph.Value
}

interface Geometry {
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly pads: readonly number[]
}

const roundUp = (n: number, block: number): number => Math.ceil(n / block) * block

/** Blocked filters, with zero filters appended to fill the last block. */
const paddedFilter = (ctx: Context.Context, filter: Filter, block: number): Graph.Value => {
  const [kh, kw, cin, cout] = filter.shape
  const full = roundUp(cout, block)
  const padded = ctx.g.op("Pad", [filter.oihw(), ctx.g.ints([0, 0, 0, 0, full - cout, 0, 0, 0])])
  const thin = cin < block
  const split = thin ? [full / block, block, cin, kh, kw] : [full / block, block, cin / block, block, kh, kw]
  const moved = ctx.g.op("Transpose", [ctx.reshape(padded, split)], {
    perm: thin ? [0, 2, 3, 4, 1] : [0, 2, 4, 5, 3, 1],
  })
  return ctx.reshape(moved, [full, cin, kh, kw])
}

/** The activation as attributes of a blocked convolution. */
const activationOf = (activation: Epilogue["activation"]) =>
  activation === undefined
    ? {}
    : {
        activation: activation.type,
        ...(activation.type === "LeakyRelu" && { activation_params: { floats: [activation.alpha] } }),
      }

/** The activation as an operation of its own. */
const activated = ({ g }: Context.Context, y: Graph.Value, activation: Epilogue["activation"]): Graph.Value =>
  activation === undefined
    ? y
    : activation.type === "Relu"
      ? g.op("Relu", [y])
      : g.op("LeakyRelu", [y], { alpha: { float: activation.alpha } })

const blockedConv = (
  ctx: Context.Context,
  v: Ir.Op,
  x: Ir.Value,
  filter: Filter,
  geometry: Geometry,
  epilogue: Epilogue,
  block: number,
): void => {
  const { g } = ctx
  const [kh, kw, cin, cout] = filter.shape
  const whole = cout % block === 0
  const bias = epilogue.bias === undefined ? undefined : ctx.reshape(ctx.as(epilogue.bias, "plain"), [cout])
  const inputs = [
    ctx.as(x, cin % block === 0 ? "blocked" : "nchw"),
    whole ? filter.blocked() : paddedFilter(ctx, filter, block),
    bias === undefined ? "" : whole ? bias : g.op("Pad", [bias, g.ints([0, roundUp(cout, block) - cout])]),
    epilogue.sum === undefined ? "" : ctx.as(epilogue.sum, "blocked"),
  ]
  while (inputs.at(-1) === "") inputs.pop()
  const y = g.op(
    "Conv",
    inputs,
    {
      kernel_shape: [kh, kw],
      strides: geometry.strides,
      dilations: geometry.dilations,
      pads: geometry.pads,
      group: 1,
      ...activationOf(epilogue.activation),
    },
    { domain: Context.BLOCKED },
  )
  if (whole) return ctx.define(v, "blocked", y)
  ctx.define(v, "nchw", g.op("ReorderOutput", [y], { channels: cout, channels_last: 0 }, { domain: Context.BLOCKED }))
}

const plainConv = (
  ctx: Context.Context,
  v: Ir.Op,
  x: Ir.Value,
  filter: Filter,
  geometry: Geometry,
  { bias, sum, activation }: Epilogue,
): void => {
  const { g } = ctx
  const [kh, kw] = filter.shape
  const inputs = [
    ctx.as(x, "nchw"),
    filter.oihw(),
    ...(bias === undefined ? [] : [ctx.reshape(ctx.as(bias, "plain"), [filter.shape[3]])]),
  ]
  const y = g.op("Conv", inputs, {
    kernel_shape: [kh, kw],
    strides: geometry.strides,
    dilations: geometry.dilations,
    pads: geometry.pads,
  })
  const summed = sum === undefined ? y : g.op("Add", [y, ctx.as(sum, "nchw")])
  ctx.define(v, "nchw", activated(ctx, summed, activation))
}

const convolve = (
  ctx: Context.Context,
  v: Ir.Op,
  x: Ir.Value,
  filter: Filter,
  geometry: Geometry,
  epilogue: Epilogue,
): void => {
  const { block } = ctx.target
  const [, , cin, cout] = filter.shape
  const fits =
    block !== undefined && (cin % block === 0 || cin < block) && (cout % block === 0 || epilogue.sum === undefined)
  if (fits) blockedConv(ctx, v, x, filter, geometry, epilogue, block)
  else plainConv(ctx, v, x, filter, geometry, epilogue)
}

const geometryOf = (v: Ir.Op): Geometry => ({
  strides: ints(v.attrs.strides),
  dilations: ints(v.attrs.dilations),
  pads: ints(v.attrs.pads),
})

export const conv = (ctx: Context.Context, at: Ir.Op, v: Ir.Op, epilogue: Epilogue): void => {
  const [x, w] = v.inputs as [Ir.Value, Ir.Value]
  const filter: Filter = {
    shape: w.shape as Quad,
    oihw: () => ctx.as(w, "oihw"),
    blocked: () => ctx.as(w, "blockedFilter"),
  }
  convolve(ctx, at, x, filter, geometryOf(v), epilogue)
}

/**
 * The filter of the input gradient: input and output channels swapped, rotated by 180°. For blocked filters this permutes
 * whole `b×b` tiles and transposes each tile, which ReorderInput does at memory speed (it sees a tile as an image of b channels
 * and b pixels).
 */
const rotated = (ctx: Context.Context, w: Ir.Value): Filter => {
  const { g, target, reshape } = ctx
  const [kh, kw, cin, cout] = w.shape as Quad
  const block = target.block ?? 1
  const taps = kh * kw
  const oihw = (): Graph.Value =>
    ctx.once(`rotated ${w.id}`, () => {
      const swapped = g.op("Transpose", [ctx.as(w, "oihw")], { perm: [1, 0, 2, 3] })
      const all = g.ints([-(2 ** 31), -(2 ** 31)])
      return taps === 1 ? swapped : g.op("Slice", [swapped, g.ints([-1, -1]), all, g.ints([2, 3]), g.ints([-1, -1])])
    })
  const tiles = (): Graph.Value =>
    ctx.once(`rotated tiles ${w.id}`, () => {
      const [rows, columns] = [cout / block, cin / block]
      const order = Array.from({ length: columns * rows * taps }, (_, n) => {
        const [tap, row, column] = [n % taps, Math.floor(n / taps) % rows, Math.floor(n / (taps * rows))]
        return (row * columns + column) * taps + (taps - 1 - tap)
      })
      const moved = g.op(
        "Gather",
        [reshape(ctx.as(w, "blockedFilter"), [order.length, block * block]), g.ints(order)],
        { axis: 0 },
      )
      const inside = g.op(
        "ReorderInput",
        [reshape(moved, [order.length, block, block, 1])],
        { channels_last: 0 },
        { domain: Context.BLOCKED },
      )
      return reshape(inside, [cin, cout, kh, kw])
    })
  const thin = (): Graph.Value =>
    ctx.once(`rotated thin ${w.id}`, () =>
      reshape(g.op("Transpose", [reshape(oihw(), [cin / block, block, cout, kh, kw])], { perm: [0, 2, 3, 4, 1] }), [
        cin,
        cout,
        kh,
        kw,
      ]),
    )
  return { shape: [kh, kw, cout, cin], oihw, blocked: () => (cout % block === 0 ? tiles() : thin()) }
}

export const convInputGrad = (ctx: Context.Context, at: Ir.Op, v: Ir.Op, epilogue: Epilogue): void => {
  const { g } = ctx
  const [dy, w] = v.inputs as [Ir.Value, Ir.Value]
  const { strides, dilations, pads } = geometryOf(v)
  const [kh, kw, , cout] = w.shape as Quad
  if (strides.every((s) => s === 1)) {
    const reach = [(kh - 1) * dilations[0]!, (kw - 1) * dilations[1]!]
    const mirrored = [reach[0]! - pads[0]!, reach[1]! - pads[1]!, reach[0]! - pads[2]!, reach[1]! - pads[3]!]
    return convolve(ctx, at, dy, rotated(ctx, w), { strides, dilations, pads: mirrored }, epilogue)
  }
  const [, height, width] = v.shape as Quad
  const missing = (size: number, out: number, axis: 0 | 1, k: number): number =>
    size - ((out - 1) * strides[axis]! - pads[axis]! - pads[axis + 2]! + (k - 1) * dilations[axis]! + 1)
  const y = g.op(
    "ConvTranspose",
    [
      ctx.as(dy, "nchw"),
      ctx.as(w, "oihw"),
      ...(epilogue.bias === undefined ? [] : [ctx.reshape(ctx.as(epilogue.bias, "plain"), [w.shape[2]!])]),
    ],
    {
      kernel_shape: [kh, kw],
      strides,
      dilations,
      pads,
      output_padding: [missing(height, dy.shape[1]!, 0, kh), missing(width, dy.shape[2]!, 1, kw)],
    },
  )
  if (cout !== dy.shape[3])
    throw new Error(
      `the gradient of a convolution with ${cout} filters must have ${cout} channels, but has ${dy.shape[3]}`,
    )
  ctx.define(at, "nchw", y)
}

/** Every channel scaled and shifted: in blocks a convolution of each channel alone, which takes one pass. */
export const channelAffine = (ctx: Context.Context, at: Ir.Op, v: Ir.Op, { sum, activation }: Epilogue): void => {
  const { g, target, reshape } = ctx
  const [x, scale, shift] = v.inputs as [Ir.Value, Ir.Value, Ir.Value]
  const channels = v.shape.at(-1)!
  const vector = (w: Ir.Value): Graph.Value =>
    Ir.size(w.shape) === channels
      ? reshape(ctx.as(w, "plain"), [channels])
      : g.op("Expand", [reshape(ctx.as(w, "plain"), [1]), g.ints([channels])])
  if (target.block !== undefined && Layout.blocksActivation(v.shape, target.block)) {
    const inputs = [
      ctx.as(x, "blocked"),
      reshape(vector(scale), [channels, 1, 1, 1]),
      vector(shift),
      ...(sum === undefined ? [] : [ctx.as(sum, "blocked")]),
    ]
    const attributes = { kernel_shape: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: channels }
    return ctx.define(
      at,
      "blocked",
      g.op("Conv", inputs, { ...attributes, ...activationOf(activation) }, { domain: Context.BLOCKED }),
    )
  }
  const isImage = v.shape.length === 4
  const wide = (w: Ir.Value): Graph.Value => (isImage ? reshape(vector(w), [1, channels, 1, 1]) : vector(w))
  const layout = isImage ? "nchw" : "plain"
  const moved = g.op("Add", [g.op("Mul", [ctx.as(x, layout), wide(scale)]), wide(shift)])
  ctx.define(
    at,
    layout,
    activated(ctx, sum === undefined ? moved : g.op("Add", [moved, ctx.as(sum, layout)]), activation),
  )
}

const pool =
  (type: "AveragePool" | "MaxPool") =>
  (ctx: Context.Context, v: Ir.Op): void => {
    const x = v.inputs[0]!
    const { block } = ctx.target
    const attributes = {
      kernel_shape: ints(v.attrs.kernel),
      strides: ints(v.attrs.strides),
      pads: ints(v.attrs.pads),
      ...(type === "AveragePool" && { count_include_pad: v.attrs.includePad === true ? 1 : 0 }),
    }
    if (block !== undefined && Layout.blocksActivation(x.shape, block)) {
      ctx.define(
        v,
        "blocked",
        ctx.g.op(type, [ctx.as(x, "blocked")], { ...attributes, dilations: [1, 1] }, { domain: Context.BLOCKED }),
      )
    } else ctx.define(v, "nchw", ctx.g.op(type, [ctx.as(x, "nchw")], attributes))
  }

const upsample = (ctx: Context.Context, v: Ir.Op): void => {
  const { g } = ctx
  const x = v.inputs[0]!
  const scales = [1, 1, ...ints(v.attrs.scales)]
  const { block } = ctx.target
  if (block !== undefined && Layout.blocksActivation(x.shape, block)) {
    return ctx.define(
      v,
      "blocked",
      g.op("Upsample", [ctx.as(x, "blocked")], { scales, mode: "nearest" }, { domain: Context.BLOCKED }),
    )
  }
  const factors = g.constant({ dtype: "float32", shape: [4], data: Float32Array.from(scales) })
  ctx.define(
    v,
    "nchw",
    g.op("Resize", [ctx.as(x, "nchw"), "", factors], {
      mode: "nearest",
      coordinate_transformation_mode: "asymmetric",
      nearest_mode: "floor",
    }),
  )
}

export const lowerings: Readonly<Record<string, (ctx: Context.Context, v: Ir.Op) => void>> = {
  Conv: (ctx, v) => conv(ctx, v, v, {}),
  ConvInputGrad: (ctx, v) => convInputGrad(ctx, v, v, {}),
  ChannelAffine: (ctx, v) => channelAffine(ctx, v, v, {}),
  AvgPool: pool("AveragePool"),
  MaxPool: pool("MaxPool"),
  Upsample: upsample,
}
