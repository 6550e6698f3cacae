/** Pooling and upsampling of a graph. */
import * as Axes from "./Axes.ts"
import * as Convolutions from "./Convolutions.ts"
import * as Operators from "./Operators.ts"
import * as Points from "./Points.ts"
import * as Reading from "./Reading.ts"

const square = (node: Operators.Node, key: string, otherwise: number): number => {
  const values = Operators.numbers(node, key) ?? [otherwise]
  return values.every((v) => v === values[0])
    ? values[0]!
    : Operators.refuse(node, `has ${key} [${values.join(", ")}]; only equal ones are supported`)
}

const pool =
  (of: "max" | "average"): Reading.Handler =>
  (node, [x], reading) => {
    let point = Reading.image(node, x, reading)
    const kernel = square(node, "kernel_shape", 0)
    const stride = square(node, "strides", 1)
    if (kernel < 1) return Operators.refuse(node, "has no kernel_shape")
    if (square(node, "dilations", 1) !== 1) return Operators.refuse(node, "is dilated")
    const [, h, w] = point.shape as readonly [number, number, number]
    const pads = Convolutions.padsOf(node, kernel, stride, [h, w])
    const countsPad = Operators.number(node, "count_include_pad", 0) !== 0
    const [top, left, bottom, right] = pads
    const misses = (n: number): boolean => (n - kernel) % stride !== 0
    if (Operators.number(node, "ceil_mode", 0) !== 0 && (misses(h + top + bottom) || misses(w + left + right)))
      return Operators.refuse(node, "rounds its size up (ceil_mode)")
    const isHalf =
      of === "average" && kernel === 2 && stride === 2 && pads.every((p) => p === 0) && h % 2 === 0 && w % 2 === 0
    point = Points.layer(
      point,
      isHalf ? { kind: "avgPool2" } : { kind: "pool", of, kernel, stride, pad: [...pads], countsPad },
      node.name,
    )
    return Reading.plain(reading, point)
  }

const globalAverage: Reading.Handler = (node, [x], reading) =>
  Reading.plain(reading, Points.layer(Reading.image(node, x, reading), { kind: "globalAverage" }, node.name))

const globalMax: Reading.Handler = (node, [x], reading) => {
  const point = Reading.image(node, x, reading)
  const [, h, w] = point.shape as readonly [number, number, number]
  if (h !== w) return Operators.refuse(node, `pools ${h} × ${w} pixels, which is no square`)
  return Reading.plain(
    reading,
    Points.layer(
      point,
      { kind: "pool", of: "max", kernel: h, stride: h, pad: [0, 0, 0, 0], countsPad: true },
      node.name,
    ),
  )
}

/** A mean over height and width, in any order of axes; the sum likewise. */
const reduce =
  (of: "mean" | "sum"): Reading.Handler =>
  (node, [x, given], reading) => {
    const value = Reading.activation(node, x)
    const rank = value.axes.length
    const axes = (Operators.numbers(node, "axes") ?? Reading.numbers(node, given, "its axes") ?? []).map(
      (a) => (a + rank) % rank,
    )
    const { shape } = value.point
    const pixels =
      shape.length === 3 &&
      rank === 4 &&
      axes.length === 2 &&
      axes.every((a) => a > 0 && (shape[0] === 1 || !Reading.isChannelAxis(value, a)))
    if (!pixels)
      return Operators.refuse(node, `reduces the axes ${axes.join(", ")}; only height and width are supported`)
    const isNhwc = !axes.includes(3)
    const order = isNhwc ? [0, 3, 1, 2] : [0, 1, 2, 3]
    const point = Reading.image(node, { ...value, axes: order.map((k) => value.axes[k]!) }, reading)
    let made = Points.layer(point, { kind: "globalAverage" }, node.name)
    const [, h, w] = point.shape as readonly [number, number, number]
    if (of === "sum") made = Points.layer(made, { kind: "affine", scale: h * w, shift: 0 }, node.name)
    const all = Reading.plain(reading, made).axes
    const seen = isNhwc ? [all[0]!, all[2]!, all[3]!, all[1]!] : all
    const kept = Operators.number(node, "keepdims", 1) !== 0 ? seen : seen.filter((_, k) => !axes.includes(k))
    return { kind: "activation", point: made, axes: kept }
  }

const resize: Reading.Handler = (node, inputs, reading) => {
  const [x] = inputs
  const value = Reading.activation(node, x)
  const now = Axes.shapeOf(value.axes)
  const isUpsample = node.op === "Upsample" || (node.op === "Resize" && inputs.length === 2)
  const scales = Reading.numbers(node, inputs[isUpsample ? 1 : 2], "its scales") ?? Operators.numbers(node, "scales")
  const sizes = isUpsample ? undefined : Reading.numbers(node, inputs[3], "its sizes")
  // TensorFlow's: height and width alone
  const wanted = node.op === "ResizeTo" ? Reading.numbers(node, inputs[1], "its size") : undefined
  const factors =
    wanted !== undefined && now.length === 4
      ? [1, 1, wanted[0]! / now[2]!, wanted[1]! / now[3]!]
      : sizes !== undefined && sizes.length === now.length
        ? sizes.map((n, k) => n / now[k]!)
        : scales !== undefined && scales.length === now.length
          ? scales
          : Operators.refuse(node, "says neither scales nor sizes")
  const isNhwc = factors[3] === 1 && factors[1] !== 1
  const [rows, columns] = isNhwc ? [factors[1]!, factors[2]!] : [factors[2]!, factors[3]!]
  const order = isNhwc ? [0, 3, 1, 2] : [0, 1, 2, 3]
  if (factors.length !== 4 || rows !== columns || !Number.isInteger(rows) || rows < 1)
    return Operators.refuse(
      node,
      `resizes by [${factors.join(", ")}]; only equal whole factors of height and width are supported`,
    )
  const point = Reading.image(node, { ...value, axes: order.map((k) => value.axes[k]!) }, reading)
  const mode = Operators.text(node, "mode", "nearest")
  const coordinates = Operators.text(node, "coordinate_transformation_mode", isUpsample ? "asymmetric" : "half_pixel")
  const back = (made: Points.Point): Reading.Activation => {
    const { axes } = Reading.plain(reading, made)
    return { kind: "activation", point: made, axes: isNhwc ? [axes[0]!, axes[2]!, axes[3]!, axes[1]!] : axes }
  }
  if (rows === 1) return back(point)
  if (mode === "nearest") {
    const rounding = Operators.text(node, "nearest_mode", isUpsample ? "floor" : "round_prefer_floor")
    const repeats =
      coordinates === "asymmetric"
        ? rounding === "floor"
        : coordinates.endsWith("half_pixel") && (rounding === "round_prefer_floor" || rounding === "round_prefer_ceil")
    if (!repeats)
      return Operators.refuse(
        node,
        `resizes by nearest_mode ${rounding} and ${coordinates} coordinates, which do not repeat pixels`,
      )
    return back(
      Points.layer(
        point,
        rows === 2 ? { kind: "upsample2" } : { kind: "upsample", factor: rows, mode: "nearest", alignCorners: false },
        node.name,
      ),
    )
  }
  if (mode !== "linear" && mode !== "bilinear")
    return Operators.refuse(node, `resizes by mode ${mode}; nearest and linear are supported`)
  if (!["half_pixel", "pytorch_half_pixel", "align_corners"].includes(coordinates))
    return Operators.refuse(
      node,
      `resizes linearly by ${coordinates} coordinates; half_pixel and align_corners are supported`,
    )
  return back(
    Points.layer(
      point,
      { kind: "upsample", factor: rows, mode: "bilinear", alignCorners: coordinates === "align_corners" },
      node.name,
    ),
  )
}

export const handlers: Readonly<Record<string, Reading.Handler>> = {
  MaxPool: pool("max"),
  AveragePool: pool("average"),
  GlobalAveragePool: globalAverage,
  GlobalMaxPool: globalMax,
  ReduceMean: reduce("mean"),
  ReduceSum: reduce("sum"),
  Resize: resize,
  ResizeTo: resize,
  Upsample: resize,
}
