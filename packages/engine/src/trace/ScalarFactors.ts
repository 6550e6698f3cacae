/** Convolution is linear in both operands, so a scalar factor moves to the smaller operand, or to the result if that is smaller. */
import type { Builder, Op, Value } from "./Ir.ts"
import * as Ir from "./Ir.ts"
import type { Rule } from "./Rule.ts"

/** `v = base · s` with a scalar s, if v has this form. */
export const scaled = (v: Value | undefined): { readonly base: Value; readonly s: number } | undefined => {
  if (!Ir.isOp(v, "Mul")) return undefined
  const s = Ir.uniform(v.inputs[1]!)
  const base = v.inputs[0]!
  return s !== undefined && Ir.sameShape(base.shape, v.shape) ? { base, s } : undefined
}

export const times = (b: Builder, v: Value, s: number): Value =>
  b.op("Mul", [v, b.constant([], "float32", Math.fround(s))], {}, v.shape, "float32")

export const rule: Rule = (b, { op, inputs: [x, w], attrs, shape, dtype }) => {
  const same = (operands: readonly Value[]): Value => b.op(op, operands, attrs, shape, dtype)
  const factor = scaled(x)
  switch (op) {
    case "Conv":
    case "ConvInputGrad":
      return factor && Ir.size(w!.shape) < Ir.size(x!.shape) ? same([factor.base, times(b, w!, factor.s)]) : undefined
    case "ConvFilterGrad": {
      if (Ir.size(shape) >= Ir.size(x!.shape)) return undefined
      if (factor !== undefined) return times(b, same([factor.base, w!]), factor.s)
      const second = scaled(w)
      return second && times(b, same([x!, second.base]), second.s)
    }
    case "ReduceSum":
    case "ReduceMean":
    case "AvgPool":
      return factor && times(b, same([factor.base]), factor.s)
  }
  return undefined
}

/** `(conv(x, w) + bias)·s = conv(x, w·s) + bias·s` for the branch of a residual block, unless the unscaled sum is used elsewhere. */
export const intoBranch = (
  b: Builder,
  v: Op,
  renewed: (v: Value) => Value,
  usedOnce: (v: Op) => boolean,
): Value | undefined => {
  const factor = scaled(v)
  const sum = factor?.base
  if (factor === undefined || !Ir.isOp(sum, "Add") || !usedOnce(sum)) return undefined
  const [conv, bias] = sum.inputs as [Value, Value]
  if (!Ir.isOp(conv, "Conv") || !usedOnce(conv) || bias.shape.length !== 1) return undefined
  const [x, w] = conv.inputs as [Value, Value]
  if (Ir.size(w.shape) >= Ir.size(conv.shape)) return undefined
  const product = b.op("Conv", [renewed(x), times(b, renewed(w), factor.s)], conv.attrs, conv.shape, "float32")
  return b.op("Add", [product, times(b, renewed(bias), factor.s)], {}, v.shape, "float32")
}
