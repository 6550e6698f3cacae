/**
 * Every TensorFlow.js kernel that a step may call, as operations of the graph. This table decides what can be compiled: it maps
 * the many kernels of TensorFlow.js to the few operations that `lower/` knows.
 */
import { Failure } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type { Builder, DType, Value } from "./Ir.ts"
import * as Ir from "./Ir.ts"

type Inputs = Readonly<Record<string, Value>>
type Attributes = Readonly<Record<string, unknown>>
export type Kernel = (b: Builder, inputs: Inputs, attrs: Attributes) => Value | readonly Value[]

const broadcast = (a: Value, b: Value): readonly number[] =>
  tf.backend_util.assertAndGetBroadcastShape([...a.shape], [...b.shape])

const binary =
  (op: string, dtype?: DType): Kernel =>
  (g, { a, b }) =>
    g.op(op, [a!, b!], {}, broadcast(a!, b!), dtype ?? a!.dtype)

const unary =
  (op: string, attrs: (a: Attributes) => Ir.Attrs = () => ({})): Kernel =>
  (g, { x }, a) =>
    g.op(op, [x!], attrs(a), x!.shape, x!.dtype)

const scalar = (g: Builder, value: number): Value => g.constant([], "float32", value)
const apply = (g: Builder, op: string, ...inputs: Value[]): Value => {
  const shape = inputs
    .map((v) => v.shape as number[])
    .reduce((a, b) => tf.backend_util.assertAndGetBroadcastShape(a, b))
  return g.op(op, inputs, {}, shape, inputs[0]!.dtype)
}

const axesOf = (axis: unknown, rank: number): readonly number[] =>
  tf.util.parseAxisParam((axis ?? [...Array(rank).keys()]) as number | number[], Array(rank).fill(1) as number[])

const reduceTo = (g: Builder, op: string, x: Value, axes: readonly number[], keepDims: boolean): Value => {
  if (axes.length === 0) return x
  const shape = keepDims
    ? x.shape.map((d, i) => (axes.includes(i) ? 1 : d))
    : x.shape.filter((_, i) => !axes.includes(i))
  return g.op(op, [x], { axes: [...axes].sort((p, q) => p - q), keepDims }, shape, x.dtype)
}
const reduce =
  (op: string): Kernel =>
  (g, { x }, { axis, keepDims }) =>
    reduceTo(g, op, x!, axesOf(axis, x!.shape.length), keepDims === true)

const slice = (g: Builder, x: Value, begin: readonly number[], size: readonly number[]): Value =>
  g.op("Slice", [x], { begin, size }, size, x.dtype)

const transpose = (g: Builder, x: Value, perm: readonly number[]): Value =>
  g.op(
    "Transpose",
    [x],
    { perm },
    perm.map((axis) => x.shape[axis]!),
    x.dtype,
  )

type Pad = Parameters<typeof tf.backend_util.computeConv2DInfo>[4]
type Strides = [number, number] | number
/** Output shape, strides, dilations and explicit pads `[top, left, bottom, right]` of a convolution. */
const convolution = (xShape: readonly number[], filterShape: readonly number[], a: Attributes) => {
  const info = tf.backend_util.computeConv2DInfo(
    xShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    a.strides as Strides,
    (a.dilations ?? 1) as Strides,
    a.pad as Pad,
    a.dimRoundingMode as "floor" | undefined,
    false,
    "channelsLast",
  )
  const { top, left, bottom, right } = info.padInfo
  return {
    outShape: info.outShape,
    attrs: {
      strides: [info.strideHeight, info.strideWidth],
      dilations: [info.dilationHeight, info.dilationWidth],
      pads: [top, left, bottom, right],
    },
  }
}

const pool =
  (op: string): Kernel =>
  (g, { x }, { filterSize, strides, pad, dimRoundingMode }) => {
    const info = tf.backend_util.computePool2DInfo(
      x!.shape as [number, number, number, number],
      filterSize as Strides,
      strides as Strides,
      1,
      pad as number,
      dimRoundingMode as "floor" | undefined,
    )
    const { top, left, bottom, right } = info.padInfo
    const attrs = {
      kernel: [info.filterHeight, info.filterWidth],
      strides: [info.strideHeight, info.strideWidth],
      pads: [top, left, bottom, right],
    }
    return g.op(op, [x!], attrs, info.outShape, "float32")
  }

const like =
  (value: number): Kernel =>
  (g, { x }) =>
    g.constant(x!.shape, x!.dtype, value)

const concat = (g: Builder, xs: readonly Value[], axis: number): Value => {
  const at = axis < 0 ? axis + xs[0]!.shape.length : axis
  const shape = xs[0]!.shape.map((d, i) => (i === at ? xs.reduce((n, x) => n + x.shape[at]!, 0) : d))
  return xs.length === 1 ? xs[0]! : g.op("Concat", xs, { axis: at }, shape, xs[0]!.dtype)
}

const reshape = (g: Builder, x: Value, shape: readonly number[]): Value =>
  g.op("Reshape", [x], {}, tf.util.inferFromImplicitShape([...shape], Ir.size(x.shape)), x.dtype)

export const table: Readonly<Record<string, Kernel>> = {
  Add: binary("Add"),
  AddV2: binary("Add"),
  Sub: binary("Sub"),
  Multiply: binary("Mul"),
  RealDiv: binary("Div"),
  Pow: binary("Pow"),
  Maximum: binary("Max"),
  Minimum: binary("Min"),
  Greater: binary("Greater", "bool"),
  GreaterEqual: binary("GreaterOrEqual", "bool"),
  Less: binary("Less", "bool"),
  LessEqual: binary("LessOrEqual", "bool"),
  Equal: binary("Equal", "bool"),
  LogicalAnd: binary("And", "bool"),
  LogicalOr: binary("Or", "bool"),
  SquaredDifference: (g, { a, b }) => {
    const d = apply(g, "Sub", a!, b!)
    return apply(g, "Mul", d, d)
  },
  AddN: (g, inputs) => Object.values(inputs).reduce((a, b) => apply(g, "Add", a, b)),

  Neg: unary("Neg"),
  Sqrt: unary("Sqrt"),
  Exp: unary("Exp"),
  Log: unary("Log"),
  Sigmoid: unary("Sigmoid"),
  Tanh: unary("Tanh"),
  Softplus: unary("Softplus"),
  Relu: unary("Relu"),
  Abs: unary("Abs"),
  Sign: unary("Sign"),
  Floor: unary("Floor"),
  Sin: unary("Sin"),
  Cos: unary("Cos"),
  Erf: unary("Erf"),
  Reciprocal: unary("Reciprocal"),
  LogicalNot: unary("Not"),
  LeakyRelu: unary("LeakyRelu", ({ alpha }) => ({ alpha: alpha as number })),
  Square: (g, { x }) => apply(g, "Mul", x!, x!),
  Rsqrt: (g, { x }) => apply(g, "Div", scalar(g, 1), apply(g, "Sqrt", x!)),
  Log1p: (g, { x }) => apply(g, "Log", apply(g, "Add", x!, scalar(g, 1))),
  Expm1: (g, { x }) => apply(g, "Sub", apply(g, "Exp", x!), scalar(g, 1)),
  ClipByValue: (g, { x }, { clipValueMin, clipValueMax }) =>
    apply(g, "Min", apply(g, "Max", x!, scalar(g, clipValueMin as number)), scalar(g, clipValueMax as number)),
  Step: (g, { x }, { alpha }) =>
    g.op(
      "Select",
      [g.op("Greater", [x!, scalar(g, 0)], {}, x!.shape, "bool"), scalar(g, 1), scalar(g, alpha as number)],
      {},
      x!.shape,
      "float32",
    ),
  Cast: (g, { x }, { dtype }) => g.op("Cast", [x!], {}, x!.shape, dtype as DType),
  Identity: (_, { x }) => x!,
  Select: (g, { condition, t, e }) => g.op("Select", [condition!, t!, e!], {}, t!.shape, t!.dtype),

  Fill: (g, _, { shape, value, dtype }) =>
    g.constant(shape as number[], (dtype as DType | undefined) ?? "float32", value as number),
  ZerosLike: like(0),
  OnesLike: like(1),

  Sum: reduce("ReduceSum"),
  Mean: reduce("ReduceMean"),
  Max: (g, { x }, { reductionIndices, axis, keepDims }) =>
    reduceTo(g, "ReduceMax", x!, axesOf(axis ?? reductionIndices, x!.shape.length), keepDims === true),
  Min: reduce("ReduceMin"),
  Softmax: (g, { logits }, { dim }) => {
    const axis = [(dim as number) < 0 ? (dim as number) + logits!.shape.length : (dim as number)]
    const exp = apply(g, "Exp", apply(g, "Sub", logits!, reduceTo(g, "ReduceMax", logits!, axis, true)))
    return apply(g, "Div", exp, reduceTo(g, "ReduceSum", exp, axis, true))
  },
  LogSoftmax: (g, { logits }, { axis }) => {
    const at = [((axis as number) + logits!.shape.length) % logits!.shape.length]
    const shifted = apply(g, "Sub", logits!, reduceTo(g, "ReduceMax", logits!, at, true))
    return apply(g, "Sub", shifted, apply(g, "Log", reduceTo(g, "ReduceSum", apply(g, "Exp", shifted), at, true)))
  },

  Reshape: (g, { x }, { shape }) => reshape(g, x!, shape as number[]),
  ExpandDims: (g, { input }, { dim }) => {
    const rank = input!.shape.length
    const at = (dim as number) < 0 ? rank + 1 + (dim as number) : (dim as number)
    return reshape(g, input!, [...input!.shape.slice(0, at), 1, ...input!.shape.slice(at)])
  },
  Transpose: (g, { x }, { perm }) => transpose(g, x!, (perm as number[] | undefined) ?? [...x!.shape.keys()].reverse()),
  Concat: (g, inputs, { axis }) => concat(g, Object.values(inputs), axis as number),
  Pack: (g, inputs, { axis }) => {
    const xs = Object.values(inputs)
    const at = (axis as number) < 0 ? (axis as number) + xs[0]!.shape.length + 1 : (axis as number)
    return concat(
      g,
      xs.map((x) => reshape(g, x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)])),
      at,
    )
  },
  Unpack: (g, { value }, { axis }) => {
    const at = (axis as number) < 0 ? (axis as number) + value!.shape.length : (axis as number)
    return Array.from({ length: value!.shape[at]! }, (_, i) =>
      reshape(
        g,
        slice(
          g,
          value!,
          value!.shape.map((__, k) => (k === at ? i : 0)),
          value!.shape.map((d, k) => (k === at ? 1 : d)),
        ),
        value!.shape.filter((__, k) => k !== at),
      ),
    )
  },
  SplitV: (g, { x }, { numOrSizeSplits, axis }) => {
    const at = tf.util.parseAxisParam(axis as number, [...x!.shape])[0]!
    let begin = 0
    return tf.backend_util.prepareSplitSize(tf.zeros([...x!.shape]), numOrSizeSplits as number[], at).map((size) => {
      const part = slice(
        g,
        x!,
        x!.shape.map((_, k) => (k === at ? begin : 0)),
        x!.shape.map((d, k) => (k === at ? size : d)),
      )
      begin += size
      return part
    })
  },
  Slice: (g, { x }, { begin, size }) => {
    const [b, s] = tf.slice_util.parseSliceParams(
      { shape: [...x!.shape] } as tf.TensorInfo as never,
      begin as number[],
      size as number[],
    )
    return slice(g, x!, b!, s!)
  },
  Tile: (g, { x }, { reps }) =>
    g.op(
      "Tile",
      [x!],
      { reps: reps as number[] },
      x!.shape.map((d, i) => d * (reps as number[])[i]!),
      x!.dtype,
    ),
  BroadcastTo: (g, { x }, { shape }) =>
    g.op("Broadcast", [x!], { shape: shape as number[] }, shape as number[], x!.dtype),
  PadV2: (g, { x }, { paddings, constantValue }) => {
    const pads = paddings as [number, number][]
    const attrs = { before: pads.map(([p]) => p), after: pads.map(([, q]) => q), value: constantValue as number }
    return pads.every(([p, q]) => p === 0 && q === 0)
      ? x!
      : g.op(
          "Pad",
          [x!],
          attrs,
          x!.shape.map((d, i) => d + pads[i]![0] + pads[i]![1]),
          x!.dtype,
        )
  },
  Reverse: (g, { x }, { dims }) => g.op("Reverse", [x!], { axes: axesOf(dims, x!.shape.length) }, x!.shape, x!.dtype),
  GatherV2: (g, { x, indices }, { axis, batchDims }) => {
    if (batchDims !== undefined && batchDims !== 0)
      Failure.raise(
        "UnsupportedOp",
        "a gather with batch dimensions cannot be compiled; write Ops.pick for one entry of each row",
        { path: tf.GatherV2 },
      )
    const at = ((axis as number) + x!.shape.length) % x!.shape.length
    return g.op(
      "Gather",
      [x!, indices!],
      { axis: at },
      [...x!.shape.slice(0, at), ...indices!.shape, ...x!.shape.slice(at + 1)],
      x!.dtype,
    )
  },
  OneHot: (g, { indices }, { depth, onValue, offValue, dtype }) => {
    const n = depth as number
    const classes = g.constant(
      [n],
      "int32",
      Int32Array.from({ length: n }, (_, i) => i),
    )
    const shape = [...indices!.shape, n]
    const hit = g.op("Equal", [reshape(g, indices!, [...indices!.shape, 1]), classes], {}, shape, "bool")
    const type = (dtype as DType | undefined) ?? "float32"
    return (onValue ?? 1) === 1 && (offValue ?? 0) === 0
      ? g.op("Cast", [hit], {}, shape, type)
      : g.op(
          "Select",
          [hit, g.constant([], type, onValue as number), g.constant([], type, offValue as number)],
          {},
          shape,
          type,
        )
  },

  BatchMatMul: (g, { a, b }, { transposeA, transposeB }) => {
    const lead = tf.backend_util.assertAndGetBroadcastShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2))
    const rows = a!.shape.at(transposeA === true ? -1 : -2)!
    const columns = b!.shape.at(transposeB === true ? -2 : -1)!
    return g.op(
      "MatMul",
      [a!, b!],
      { transposeA: transposeA === true, transposeB: transposeB === true },
      [...lead, rows, columns],
      "float32",
    )
  },
  Conv2D: (g, { x, filter }, a) => {
    const { outShape, attrs } = convolution(x!.shape, filter!.shape, a)
    return g.op("Conv", [x!, filter!], attrs, outShape, "float32")
  },
  Conv2DBackpropInput: (g, { dy, filter }, a) => {
    const inputShape = a.inputShape as number[]
    const { attrs } = convolution(inputShape, filter!.shape, a)
    return g.op("ConvInputGrad", [dy!, filter!], attrs, inputShape, "float32")
  },
  Conv2DBackpropFilter: (g, { x, dy }, a) => {
    const filterShape = a.filterShape as number[]
    const { attrs } = convolution(x!.shape, filterShape, a)
    return g.op("ConvFilterGrad", [x!, dy!], attrs, filterShape, "float32")
  },
  FusedBatchNorm: (g, { x, mean, variance, offset, scale }, { varianceEpsilon }) => {
    const epsilon = scalar(g, varianceEpsilon as number)
    const inverse = apply(g, "Div", scalar(g, 1), apply(g, "Sqrt", apply(g, "Add", variance!, epsilon)))
    const factor = scale === undefined ? inverse : apply(g, "Mul", inverse, scale)
    const moved = apply(g, "Mul", mean!, factor)
    const shift = offset === undefined ? apply(g, "Neg", moved) : apply(g, "Sub", offset, moved)
    return g.op("ChannelAffine", [x!, factor, shift], {}, x!.shape, "float32")
  },
  AvgPool: pool("AvgPool"),
  MaxPool: pool("MaxPool"),
  ResizeNearestNeighbor: (g, { images }, { size }) => {
    const [n, h, w, c] = images!.shape as [number, number, number, number]
    const [height, width] = size as [number, number]
    if (height % h !== 0 || width % w !== 0)
      Failure.raise(
        "UnsupportedOp",
        `a nearest-neighbour resize from ${h}x${w} to ${height}x${width} cannot be compiled; the factors must be whole numbers`,
        { path: tf.ResizeNearestNeighbor },
      )
    return g.op("Upsample", [images!], { scales: [height / h, width / w] }, [n, height, width, c], "float32")
  },
}
