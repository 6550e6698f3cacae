/** Convolutions and linear layers of a graph. */
import type { Stack } from "@adafm/gan"
import * as Constant from "./Constant.ts"
import * as Operators from "./Operators.ts"
import * as Points from "./Points.ts"
import * as Reading from "./Reading.ts"

type Sides = readonly [top: number, left: number, bottom: number, right: number]

const one = (node: Operators.Node, key: string, otherwise: number): number => {
  const values = Operators.numbers(node, key)
  if (values === undefined) return otherwise
  const [first] = values
  return first !== undefined && values.every((v) => v === first)
    ? first
    : Operators.refuse(node, `has ${key} [${values.join(", ")}]; only equal ones are supported`)
}

const common = (node: Operators.Node, weight: Constant.Constant): { kernel: number; stride: number } => {
  const [, , kh, kw] = weight.shape
  if (weight.shape.length !== 4)
    return Operators.refuse(
      node,
      `has filters [${weight.shape.join(", ")}]; only two-dimensional convolutions are supported`,
    )
  if (kh !== kw) return Operators.refuse(node, `has a kernel of ${kh} × ${kw}, which is not square`)
  if (Operators.number(node, "group", 1) !== 1)
    return Operators.refuse(node, `is grouped (group ${Operators.number(node, "group", 1)}), which is not supported`)
  if (one(node, "dilations", 1) !== 1)
    return Operators.refuse(node, "is dilated; a dilated convolution cannot be trained here")
  return { kernel: kh!, stride: one(node, "strides", 1) }
}

const explicit = (node: Operators.Node): Sides => {
  const pads = Operators.numbers(node, "pads") ?? [0, 0, 0, 0]
  return pads.length === 4 && pads.every((p) => p >= 0)
    ? (pads as unknown as Sides)
    : Operators.refuse(node, `has pads [${pads.join(", ")}]; four are needed, none negative`)
}

const halves = (total: number, lower: boolean): readonly [number, number] =>
  lower ? [Math.ceil(total / 2), Math.floor(total / 2)] : [Math.floor(total / 2), Math.ceil(total / 2)]

/** Pixels on each side so that `⌈n / stride⌉` windows fit, as TensorFlow's `same`. */
export const same = (kernel: number, stride: number, [h, w]: readonly [number, number], lower: boolean): Sides => {
  const total = (n: number): number => Math.max(0, (Math.ceil(n / stride) - 1) * stride + kernel - n)
  const [[top, bottom], [left, right]] = [halves(total(h), lower), halves(total(w), lower)]
  return [top, left, bottom, right]
}

/** Pads of a convolution or a pooling by `auto_pad` or `pads`. */
export const padsOf = (
  node: Operators.Node,
  kernel: number,
  stride: number,
  size: readonly [number, number],
): Sides => {
  const auto = Operators.text(node, "auto_pad", "NOTSET")
  return auto === "NOTSET"
    ? explicit(node)
    : auto === "VALID"
      ? [0, 0, 0, 0]
      : same(kernel, stride, size, auto === "SAME_LOWER")
}

export const conv: Reading.Handler = (node, [x, w, b], reading) => {
  const weight = Reading.constant(node, w, "its filters")
  const bias = b === undefined ? undefined : Reading.constant(node, b, "its bias")
  const { kernel, stride } = common(node, weight)
  const [out, cin] = weight.shape as [number, number]
  let point = Reading.image(node, x, reading)
  const [, height, width] = point.shape as readonly [number, number, number]
  const pads = padsOf(node, kernel, stride, [height, width])
  const pad = Math.min(...pads)
  const more = pads.map((p) => p - pad) as [number, number, number, number]
  if (more.some((p) => p > 0)) point = Points.layer(point, { kind: "pad", sides: more, mode: "zero" }, node.name)
  const path = Reading.parameters(node, reading, { weight, bias })
  const layer: Stack.Layer = { kind: "conv", path, in: cin, out, kernel, stride, pad, bias: bias !== undefined }
  return Reading.plain(reading, Points.layer(point, layer, node.name))
}

/** What a transposed convolution cuts off on each side, and adds at the bottom and the right. */
const cutOf = (
  node: Operators.Node,
  kernel: number,
  stride: number,
  [h, w]: readonly [number, number],
  size: readonly number[] | undefined,
): { cut: Sides; added: number } => {
  const auto = Operators.text(node, "auto_pad", "NOTSET")
  const shape = Operators.numbers(node, "output_shape")
  const wanted = size ?? shape?.slice(-2) ?? (auto.startsWith("SAME") ? [h * stride, w * stride] : undefined)
  const output = Operators.numbers(node, "output_padding") ?? [0, 0]
  if (output[0] !== output[1])
    return Operators.refuse(node, `has output_padding [${output.join(", ")}]; only equal ones are supported`)
  if (wanted === undefined) return { cut: auto === "VALID" ? [0, 0, 0, 0] : explicit(node), added: output[0] ?? 0 }
  const total = (n: number, size: number): number => (n - 1) * stride + kernel + (output[0] ?? 0) - size
  const totals = [total(h, wanted[0]!), total(w, wanted[1]!)]
  const added = Math.max(0, -totals[0]!)
  if (added !== Math.max(0, -totals[1]!)) return Operators.refuse(node, "adds different numbers of rows and columns")
  const [[top, bottom], [left, right]] = totals.map((t) => halves(Math.max(0, t), auto === "SAME_LOWER")) as [
    readonly [number, number],
    readonly [number, number],
  ]
  return { cut: [top, left, bottom, right], added: added + (output[0] ?? 0) }
}

/** TensorFlow gives the size of the output as a fourth input, with the batch and the channels. */
export const convTranspose: Reading.Handler = (node, [x, w, b, size], reading) => {
  const weight = Reading.constant(node, w, "its filters")
  const bias = b === undefined ? undefined : Reading.constant(node, b, "its bias")
  const { kernel, stride } = common(node, weight)
  const [cin, out] = weight.shape as [number, number]
  const point = Reading.image(node, x, reading)
  const [, height, width] = point.shape as readonly [number, number, number]
  const all = Reading.numbers(node, size, "its size")
  const from = all?.length === 2 ? 0 : Operators.number(node, "size_axis", 2)
  const { cut, added } = cutOf(node, kernel, stride, [height, width], all?.slice(from, from + 2))
  const pad = Math.min(...cut)
  // rows that are added at the bottom need no cut there
  const rest = cut.map((c) => c - pad) as [number, number, number, number]
  const path = Reading.parameters(node, reading, { weight, bias })
  const padded = Math.min(added, Math.max(0, stride - 1))
  if (added !== padded) return Operators.refuse(node, `adds ${added} rows at a stride of ${stride}`)
  const layer: Stack.Layer = {
    kind: "convTranspose",
    path,
    in: cin,
    out,
    kernel,
    stride,
    pad,
    bias: bias !== undefined,
    ...(added > 0 && { outputPad: added }),
  }
  const made = Points.layer(point, layer, node.name)
  const cropped = rest.some((c) => c > 0) ? Points.layer(made, { kind: "crop", sides: rest }, node.name) : made
  return Reading.plain(reading, cropped)
}

/** @param weight `[out, in]` */
const linear = (
  node: Operators.Node,
  x: Reading.Value | undefined,
  weight: Constant.Constant,
  bias: Constant.Constant | undefined,
  reading: Reading.Reading,
): Reading.Activation => {
  const point = Reading.vector(node, x, reading)
  const [out, cin] = weight.shape as [number, number]
  const own = bias === undefined ? undefined : Reading.perChannel(node, bias, out, "its bias")
  const path = Reading.parameters(node, reading, { weight, bias: own })
  const layer: Stack.Layer = { kind: "linear", path, in: cin, out, bias: own !== undefined }
  return Reading.plain(reading, Points.layer(point, layer, node.name))
}

export const matMul: Reading.Handler = (node, [x, w], reading) => {
  const weight = Reading.constant(node, w, "its second input")
  if (x?.kind === "constant") {
    const fits = [x.constant, weight].every(({ shape }) => shape.length === 1 || shape.length === 2)
    return fits && x.constant.shape.at(-1) === weight.shape[0]
      ? Reading.fixed(Constant.product(x.constant, weight))
      : Operators.refuse(node, "multiplies tensors that do not fit")
  }
  if (weight.shape.length !== 2)
    return Operators.refuse(node, `multiplies by [${weight.shape.join(", ")}], which is no matrix`)
  return linear(node, x, Constant.permute(weight, [1, 0]), undefined, reading)
}

export const gemm: Reading.Handler = (node, [x, w, b], reading) => {
  if (Operators.number(node, "transA", 0) !== 0) return Operators.refuse(node, "transposes its input")
  const [alpha, beta] = [Operators.number(node, "alpha", 1), Operators.number(node, "beta", 1)]
  const given = Reading.constant(node, w, "its second input")
  if (given.shape.length !== 2)
    return Operators.refuse(node, `multiplies by [${given.shape.join(", ")}], which is no matrix`)
  const matrix = Operators.number(node, "transB", 0) === 0 ? Constant.permute(given, [1, 0]) : given
  const scaled = (c: Constant.Constant, by: number): Constant.Constant =>
    by === 1 ? c : Constant.map(c, (v) => v * by)
  const bias = b === undefined ? undefined : scaled(Reading.constant(node, b, "its third input"), beta)
  return linear(node, x, scaled(matrix, alpha), bias, reading)
}

/** The layer with a bias, where the point is a convolution or a linear layer without one; undefined for others. */
export const withBias = (
  { point, axes }: Reading.Activation,
  bias: Constant.Constant,
  { parameters }: Reading.Reading,
): Reading.Activation | undefined => {
  const { layer, inputs } = point
  if (layer === undefined || !("bias" in layer) || layer.bias || !("path" in layer) || layer.kind === "scaleShift")
    return undefined
  if (parameters.has(`${layer.path}.bias`)) return undefined
  parameters.set(`${layer.path}.bias`, bias)
  return { kind: "activation", point: Points.layer(inputs[0]!, { ...layer, bias: true }, layer.path), axes }
}
