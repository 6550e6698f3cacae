/** Operators that move numbers without changing them, and arithmetic on shapes. */
import * as Axes from "./Axes.ts"
import * as Constant from "./Constant.ts"
import * as Operators from "./Operators.ts"
import * as Points from "./Points.ts"
import * as Reading from "./Reading.ts"

const withAxes = (value: Reading.Activation, axes: Axes.Axes): Reading.Activation => ({ ...value, axes })

const shaped = (node: Operators.Node, value: Reading.Activation, wanted: readonly number[]): Reading.Activation => {
  const now = Axes.shapeOf(value.axes)
  const total = now.reduce((n, d) => n * d, 1)
  const copied = wanted.map((d, k) => (d === 0 ? (now[k] ?? 1) : d))
  const known = copied.filter((d) => d !== -1).reduce((n, d) => n * d, 1)
  const shape = copied.map((d) => (d === -1 ? total / known : d))
  const axes = shape.every((d) => Number.isInteger(d) && d > 0) ? Axes.reshape(value.axes, shape) : undefined
  return axes === undefined
    ? Operators.refuse(
        node,
        `reshapes [${now.slice(1).join(", ")}] to [${wanted.join(", ")}], which no layer here does`,
      )
    : withAxes(value, axes)
}

const reshape: Reading.Handler = (node, [x, shape]) => {
  const wanted =
    Operators.numbers(node, "shape") ??
    Reading.numbers(node, shape, "its shape") ??
    Operators.refuse(node, "has no shape")
  if (x?.kind === "constant") {
    const total = x.constant.shape.reduce((n, d) => n * d, 1)
    const copied = wanted.map((d, k) => (d === 0 ? x.constant.shape[k]! : d))
    const known = copied.filter((d) => d !== -1).reduce((n, d) => n * d, 1)
    return Reading.fixed(
      Constant.reshape(
        x.constant,
        copied.map((d) => (d === -1 ? total / known : d)),
      ),
    )
  }
  if (x?.kind === "label") return x
  return shaped(node, Reading.activation(node, x), wanted)
}

const flatten: Reading.Handler = (node, [x]) => {
  const value = Reading.activation(node, x)
  const axis = Operators.number(node, "axis", 1)
  if (axis !== 1 && axis !== 1 - value.axes.length) return Operators.refuse(node, `flattens from axis ${axis}`)
  return withAxes(value, [value.axes[0]!, value.axes.slice(1).flat()])
}

const transpose: Reading.Handler = (node, [x]) => {
  const order = Operators.numbers(node, "perm")
  if (x?.kind === "constant")
    return Reading.fixed(Constant.permute(x.constant, order ?? x.constant.shape.map((_, k) => k).reverse()))
  const value = Reading.activation(node, x)
  const perm = order ?? value.axes.map((_, k) => k).reverse()
  if (perm.length !== value.axes.length || perm.some((k) => value.axes[k] === undefined) || perm[0] !== 0)
    return Operators.refuse(node, `transposes to [${perm.join(", ")}]`)
  return withAxes(
    value,
    perm.map((k) => value.axes[k]!),
  )
}

const axesOf = (node: Operators.Node, value: Reading.Value | undefined): readonly number[] | undefined =>
  Operators.numbers(node, "axes") ?? Reading.numbers(node, value, "its axes")

const unsqueeze: Reading.Handler = (node, [x, given]) => {
  if (x?.kind === "label") return x
  const list = axesOf(node, given) ?? [0]
  const insert = <A>(own: readonly A[], one: A): readonly A[] => {
    const rank = own.length + list.length
    const at = new Set(list.map((axis) => (axis + rank) % rank))
    const rest = [...own]
    return Array.from({ length: rank }, (_, k) => (at.has(k) ? one : rest.shift()!))
  }
  if (x?.kind === "constant") return Reading.fixed(Constant.reshape(x.constant, insert(x.constant.shape, 1)))
  const value = Reading.activation(node, x)
  return withAxes(value, insert<Axes.Axis>(value.axes, []))
}

const squeeze: Reading.Handler = (node, [x, given]) => {
  if (x?.kind === "label") return x
  const list = axesOf(node, given)
  const sizes = x?.kind === "constant" ? x.constant.shape : Axes.shapeOf(Reading.activation(node, x).axes)
  const drop = new Set(
    list?.map((axis) => (axis + sizes.length) % sizes.length) ?? sizes.flatMap((n, k) => (n === 1 && k > 0 ? [k] : [])),
  )
  if ([...drop].some((k) => sizes[k] !== 1)) return Operators.refuse(node, `removes an axis of [${sizes.join(", ")}]`)
  const kept = <A>(own: readonly A[]): readonly A[] => own.filter((_, k) => !drop.has(k))
  if (x?.kind === "constant") return Reading.fixed(Constant.reshape(x.constant, kept(sizes)))
  const value = Reading.activation(node, x)
  return drop.has(0) ? value : withAxes(value, kept(value.axes))
}

const shapeOf: Reading.Handler = (node, [x], reading) => {
  const shape =
    x?.kind === "constant"
      ? x.constant.shape
      : x?.kind === "label"
        ? [reading.batch]
        : Axes.shapeOf(Reading.activation(node, x).axes)
  const rank = shape.length
  const at = (key: string, otherwise: number): number => {
    const given = Operators.number(node, key, otherwise)
    return given < 0 ? given + rank : given
  }
  const part = shape.slice(at("start", 0), at("end", rank))
  return Reading.fixed(Constant.of([part.length], part))
}

const gather: Reading.Handler = (node, [table, indices], reading) => {
  if (indices?.kind === "label" && table?.kind === "constant") {
    const [classes, width] = table.constant.shape as [number, number]
    if (table.constant.shape.length !== 2)
      return Operators.refuse(node, "looks up a label in a table that is no matrix")
    reading.label ??= Points.root("label", [classes])
    if (reading.label.shape[0] !== classes)
      return Operators.refuse(node, "reads another number of classes than another node")
    const path = Reading.parameters(node, reading, { weight: table.constant })
    return Reading.plain(reading, Points.layer(reading.label, { kind: "embedding", path, classes, width }, node.name))
  }
  const list = Reading.numbers(node, table, "its first input")!
  const at = Reading.numbers(node, indices, "its indices")!
  const shape = (indices as Reading.Fixed).constant.shape
  if (Operators.number(node, "axis", 0) !== 0 || (table as Reading.Fixed).constant.shape.length !== 1)
    return Operators.refuse(node, "picks parts of a tensor, which is not supported")
  return Reading.fixed(
    Constant.of(
      shape,
      at.map((i) => list.at(i) ?? 0),
    ),
  )
}

const oneHot: Reading.Handler = (node, [indices, depth], reading) => {
  if (indices?.kind !== "label") return Operators.refuse(node, "makes a one-hot vector of something that is no label")
  const classes = Reading.numbers(node, depth, "its depth")?.[0] ?? 0
  reading.label ??= Points.root("label", [classes])
  return Reading.plain(reading, Points.layer(reading.label, { kind: "oneHot", classes }, node.name))
}

const slice: Reading.Handler = (node, [x, a, b, c, d], reading) => {
  const list = (value: Reading.Value | undefined, key: string): readonly number[] | undefined =>
    Reading.numbers(node, value, `its ${key}`) ?? Operators.numbers(node, key)
  const [starts, ends] = [list(a, "starts") ?? [], list(b, "ends") ?? []]
  const axes = list(c, "axes") ?? starts.map((_, k) => k)
  const steps = list(d, "steps") ?? starts.map(() => 1)
  if (x?.kind === "constant") {
    const { shape } = x.constant
    const ranges = shape.map((n) => ({ start: 0, step: 1, count: n }))
    for (const [k, raw] of axes.entries()) {
      const axis = (raw + shape.length) % shape.length
      const [n, step] = [shape[axis] ?? 0, steps[k] ?? 1]
      if (step === 0) return Operators.refuse(node, "has a step of 0")
      const bound = (i: number): number =>
        Math.min(step > 0 ? n : n - 1, Math.max(step > 0 ? 0 : -1, i < 0 ? i + n : i))
      const [from, to] = [bound(starts[k]!), bound(ends[k]!)]
      ranges[axis] = { start: from, step, count: Math.max(0, Math.ceil((to - from) / step)) }
    }
    return Reading.fixed(Constant.slice(x.constant, ranges))
  }
  const value = Reading.activation(node, x)
  const sizes = Axes.shapeOf(value.axes)
  const sides: Record<number, [number, number]> = {}
  for (const [k, raw] of axes.entries()) {
    const axis = (raw + sizes.length) % sizes.length
    const n = sizes[axis]!
    if (steps[k] !== 1) return Operators.refuse(node, `takes every ${steps[k]}th entry, which is not supported`)
    const at = (i: number): number => Math.min(n, Math.max(0, i < 0 ? i + n : i))
    sides[axis] = [at(starts[k]!), n - at(ends[k]!)]
  }
  if (Object.values(sides).every(([p, q]) => p === 0 && q === 0)) return value
  return cropped(node, value, sides, reading)
}

/** Cuts rows and columns of an image, whatever the order of its axes is. */
const cropped = (
  node: Operators.Node,
  value: Reading.Activation,
  sides: Readonly<Record<number, readonly [number, number]>>,
  reading: Reading.Reading,
): Reading.Activation => {
  const canonical = value.point.shape.length === 3 ? Axes.image(reading.batch, value.point.shape) : []
  const isNhwc = Axes.equal(
    value.axes,
    [0, 2, 3, 1].flatMap((k) => (canonical[k] === undefined ? [] : [canonical[k]])),
  )
  const [rows, columns] = isNhwc ? [1, 2] : [2, 3]
  const point = isNhwc ? value.point : Reading.image(node, value, reading)
  const cuts = Object.entries(sides).filter(([, [p, q]]) => p > 0 || q > 0)
  if (cuts.some(([axis]) => Number(axis) !== rows && Number(axis) !== columns))
    return Operators.refuse(node, "cuts channels or images apart, which is not supported")
  const [[top, bottom], [left, right]] = [sides[rows!] ?? [0, 0], sides[columns!] ?? [0, 0]]
  const made = Reading.plain(
    reading,
    Points.layer(point, { kind: "crop", sides: [top, left, bottom, right] }, node.name),
  )
  return isNhwc ? { ...made, axes: [0, 2, 3, 1].map((k) => made.axes[k]!) } : made
}

const pad: Reading.Handler = (node, [x, given, fill], reading) => {
  const pads = Reading.numbers(node, given, "its pads") ?? Operators.numbers(node, "pads") ?? []
  const mode = Operators.text(node, "mode", "constant")
  if (mode !== "constant" && mode !== "reflect")
    return Operators.refuse(node, `pads by mode ${mode}; constant and reflect are supported`)
  if ((Reading.numbers(node, fill, "its value")?.[0] ?? Operators.number(node, "value", 0)) !== 0)
    return Operators.refuse(node, "pads with a number that is not 0")
  const value = Reading.activation(node, x)
  const rank = value.axes.length
  if (pads.length !== 2 * rank) return Operators.refuse(node, `has ${pads.length} pads for ${rank} axes`)
  if (pads.every((p) => p === 0)) return value
  const point = Reading.image(node, value, reading)
  const [b0, c0, top, left, b1, c1, bottom, right] = pads as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  if (b0 !== 0 || b1 !== 0 || c0 !== 0 || c1 !== 0)
    return Operators.refuse(node, "pads channels, which is not supported")
  const sides = [top, left, bottom, right] as [number, number, number, number]
  if (sides.every((p) => p <= 0)) {
    const cut = sides.map((p) => -p) as [number, number, number, number]
    return Reading.plain(reading, Points.layer(point, { kind: "crop", sides: cut }, node.name))
  }
  if (sides.some((p) => p < 0)) return Operators.refuse(node, "pads some sides and cuts others")
  return Reading.plain(
    reading,
    Points.layer(point, { kind: "pad", sides, mode: mode === "constant" ? "zero" : "reflect" }, node.name),
  )
}

const depthToSpace: Reading.Handler = (node, [x], reading) => {
  const point = Reading.image(node, x, reading)
  const factor = Operators.number(node, "blocksize", 2)
  const order = Operators.text(node, "mode", "DCR") === "CRD" ? "crd" : "dcr"
  return Reading.plain(reading, Points.layer(point, { kind: "pixelShuffle", factor, order }, node.name))
}

const constantOfShape: Reading.Handler = (node, [shape]) => {
  const sizes = Reading.numbers(node, shape, "its shape") ?? []
  const total = sizes.reduce((n, d) => n * d, 1)
  const given = node.attributes.value
  const value = typeof given === "object" && "constant" in given ? given.constant.read().data[0]! : 0
  return total > 4096
    ? Operators.refuse(node, "makes a large constant")
    : Reading.fixed(Constant.of(sizes, Array(total).fill(value)))
}

const folded =
  (f: (a: number, b: number) => number): Reading.Handler =>
  (node, [a, b]) => {
    const [x, y] = [
      Reading.constant(node, a, "its input"),
      b === undefined ? Constant.of([], [0]) : Reading.constant(node, b, "its input"),
    ]
    return Reading.fixed(Constant.combine(x, y, f))
  }

/** Repeats axes of size 1, which changes nothing for what reads one number for a whole axis. */
const expand: Reading.Handler = (node, [x, shape]) => {
  if (x?.kind === "constant") {
    const sizes = Reading.numbers(node, shape, "its shape") ?? []
    return Reading.fixed(
      Constant.combine(
        x.constant,
        Constant.of(
          sizes.map(() => 1),
          [0],
        ),
        (a) => a,
      ),
    )
  }
  const value = Reading.activation(node, x)
  const wanted = Reading.numbers(node, shape, "its shape") ?? []
  const now = Axes.shapeOf(value.axes)
  return wanted.length === now.length && wanted.every((d, k) => d === now[k] || d === 1 || k === 0)
    ? value
    : Operators.refuse(node, "repeats its input, which is not supported")
}

const norm: Reading.Handler = (node, [x, given]) => {
  const c = Reading.constant(node, x, "its input")
  const rank = c.shape.length
  const axes = (axesOf(node, given) ?? c.shape.map((_, k) => k)).map((axis) => (axis + rank) % rank)
  return Reading.fixed(Constant.norm(c, axes, Operators.number(node, "keepdims", 1) !== 0))
}

export const handlers: Readonly<Record<string, Reading.Handler>> = {
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Shape: shapeOf,
  Gather: gather,
  OneHot: oneHot,
  Slice: slice,
  Pad: pad,
  DepthToSpace: depthToSpace,
  ConstantOfShape: constantOfShape,
  Expand: expand,
  ReduceL2: norm,
  Floor: folded((a) => Math.floor(a)),
  Ceil: folded((a) => Math.ceil(a)),
  Sqrt: folded((a) => Math.sqrt(a)),
  Rsqrt: folded((a) => 1 / Math.sqrt(a)),
  Reciprocal: folded((a) => 1 / a),
  Equal: folded((a, b) => Number(a === b)),
  Pow: folded((a, b) => a ** b),
  Max: folded((a, b) => Math.max(a, b)),
  Min: folded((a, b) => Math.min(a, b)),
}
