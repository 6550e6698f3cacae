/** Simplifies single operations: folds constants, removes identities, recognises the masks of leaky ReLU. */
import type { Attrs, Builder, DType, Value } from "./Ir.ts"
import * as Ir from "./Ir.ts"

const binary: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Pow: (a, b) => a ** b,
  Max: (a, b) => Math.max(a, b),
  Min: (a, b) => Math.min(a, b),
}
const unary: Readonly<Record<string, (a: number) => number>> = {
  Neg: (a) => -a,
  Sqrt: Math.sqrt,
  Exp: Math.exp,
  Log: Math.log,
  Reciprocal: (a) => 1 / a,
}

const elementwise = new Set([...Object.keys(binary), "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"])

/**
 * Broadcasts as late as possible: an operand is not broadcast if another one has the full shape; if none has, the operation is
 * done on the small shapes and its result is broadcast.
 */
const withoutBroadcast = (
  b: Builder,
  op: string,
  inputs: readonly Value[],
  attrs: Attrs,
  shape: readonly number[],
  dtype: DType,
): Value | undefined => {
  const isFull = (v: Value): boolean =>
    Ir.uniform(v) === undefined && !Ir.isOp(v, "Broadcast") && Ir.sameShape(v.shape, shape)
  const shrunk = inputs.map((v) => (Ir.isOp(v, "Broadcast") ? v.inputs[0]! : v))
  if (inputs.some(isFull)) {
    return shrunk.some((v, i) => v !== inputs[i]) ? b.op(op, shrunk, attrs, shape, dtype) : undefined
  }
  const scalars = shrunk.map((v) => {
    const value = Ir.uniform(v)
    return value === undefined ? v : b.constant([], v.dtype, value)
  })
  const small = scalars.map((v) => v.shape).reduce((p, q) => broadcastShape(p, q))
  if (Ir.sameShape(small, shape)) return undefined
  return b.op("Broadcast", [b.op(op, scalars, attrs, small, dtype)], { shape }, shape, dtype)
}

const broadcastShape = (p: readonly number[], q: readonly number[]): readonly number[] => {
  const rank = Math.max(p.length, q.length)
  const at = (s: readonly number[], i: number): number => s[i - (rank - s.length)] ?? 1
  return Array.from({ length: rank }, (_, i) => Math.max(at(p, i), at(q, i)))
}

/** The value itself, if it already has the shape of the result. */
const asIs = (v: Value, shape: readonly number[]): Value | undefined => (Ir.sameShape(v.shape, shape) ? v : undefined)

/**
 * `where(y > 0, dy, dy·slope)` is the gradient of leaky ReLU, for any `y` with the sign of its input. It becomes one product with
 * a mask, which all gradients through the same activation share.
 */
const leakyReluGradient = (b: Builder, [condition, whenTrue, whenFalse]: readonly Value[]): Value | undefined => {
  if (!Ir.isOp(condition, "Greater") || Ir.uniform(condition.inputs[1]!) !== 0) return undefined
  const y = condition.inputs[0]!
  const dy = whenTrue!
  if (!Ir.sameShape(y.shape, dy.shape)) return undefined
  const slope =
    Ir.uniform(whenFalse!) === 0
      ? 0
      : Ir.isOp(whenFalse, "Mul") && whenFalse.inputs[0] === dy
        ? Ir.uniform(whenFalse.inputs[1]!)
        : undefined
  if (slope === undefined || slope > 1) return undefined
  return b.op("Mul", [dy, b.op("SlopeMask", [y], { slope }, y.shape, "float32")], {}, dy.shape, "float32")
}

/** A simpler value equal to the operation, or `undefined`. */
export const operation = (
  b: Builder,
  op: string,
  inputs: readonly Value[],
  attrs: Attrs,
  shape: readonly number[],
  dtype: DType,
): Value | undefined => {
  const [x, y] = inputs
  const ux = x && Ir.uniform(x)
  const uy = y && Ir.uniform(y)
  const fill = (value: number): Value => b.constant(shape, dtype, dtype === "float32" ? Math.fround(value) : value)

  const two = binary[op]
  if (two !== undefined && ux !== undefined && uy !== undefined && dtype === "float32") return fill(two(ux, uy))
  if (elementwise.has(op)) {
    const broadcast = withoutBroadcast(b, op, inputs, attrs, shape, dtype)
    if (broadcast !== undefined) return broadcast
  }
  const one = unary[op]
  if (one !== undefined && ux !== undefined && dtype === "float32") return fill(one(ux))

  switch (op) {
    case "Add":
      if (uy === 0) return asIs(x!, shape)
      if (ux === 0) return asIs(y!, shape)
      break
    case "Sub":
      if (uy === 0) return asIs(x!, shape)
      break
    case "Mul":
      if (uy === 1) return asIs(x!, shape)
      if (ux === 1) return asIs(y!, shape)
      if (ux === 0 || uy === 0) return fill(0)
      // scalars move outwards, so that they meet and fold: (a·s)·t = a·(st)
      if (uy !== undefined && Ir.isOp(x, "Mul")) {
        const inner = Ir.uniform(x.inputs[1]!)
        if (inner !== undefined && Ir.sameShape(x.inputs[0]!.shape, shape)) {
          return b.op("Mul", [x.inputs[0]!, b.constant([], "float32", Math.fround(inner * uy))], {}, shape, dtype)
        }
      }
      if (ux !== undefined && uy === undefined) return b.op("Mul", [y!, x!], attrs, shape, dtype)
      if (uy !== undefined && y!.shape.length > 0 && Ir.sameShape(x!.shape, shape)) {
        return b.op("Mul", [x!, b.constant([], y!.dtype, uy)], attrs, shape, dtype)
      }
      break
    case "Div":
      if (uy === 1) return asIs(x!, shape)
      if (uy !== undefined && dtype === "float32" && Math.log2(Math.abs(uy)) % 1 === 0) {
        return b.op("Mul", [x!, b.constant(y!.shape, "float32", 1 / uy)], {}, shape, dtype)
      }
      break
    case "Neg":
      if (Ir.isOp(x, "Neg")) return x.inputs[0]!
      break
    case "Select":
      return dtype === "float32" ? leakyReluGradient(b, inputs) : undefined
    case "Cast":
      if (x!.dtype === dtype) return x
      break
    case "Reshape":
      if (ux !== undefined) return fill(ux)
      if (Ir.sameShape(x!.shape, shape)) return x
      if (Ir.isOp(x, "Reshape")) return b.op("Reshape", x.inputs, {}, shape, dtype)
      break
    case "Transpose": {
      const perm = attrs.perm as readonly number[]
      if (ux !== undefined) return fill(ux)
      if (perm.every((axis, i) => axis === i)) return x
      if (Ir.isOp(x, "Transpose")) {
        const inner = x.attrs.perm as readonly number[]
        return b.op("Transpose", x.inputs, { perm: perm.map((axis) => inner[axis]!) }, shape, dtype)
      }
      break
    }
    case "Tile":
    case "Slice":
    case "Broadcast":
      if (ux !== undefined) return fill(ux)
      if (Ir.sameShape(x!.shape, shape)) return x
      break
    case "ReduceSum":
    case "ReduceMean":
      if (ux !== undefined) return fill(op === "ReduceSum" ? (ux * Ir.size(x!.shape)) / Ir.size(shape) : ux)
      if (Ir.size(x!.shape) === Ir.size(shape)) return b.op("Reshape", [x!], {}, shape, dtype)
      break
  }
  return undefined
}
