/** Rewrites that need to know who uses a value: scalars move to where they cost least. */
import * as Graph from "./Graph.ts"
import type { Builder, Op, Program, Value } from "./Ir.ts"
import * as Ir from "./Ir.ts"

const isOp = (v: Value | undefined, op: string): v is Op => v?.kind === "op" && v.op === op

/** `v = base · s` with a scalar s. */
const scaled = (v: Value | undefined): { readonly base: Value; readonly s: number } | undefined => {
  if (!isOp(v, "Mul")) return undefined
  const s = Ir.uniform(v.inputs[1]!)
  const base = v.inputs[0]!
  return s !== undefined && Ir.sameShape(base.shape, v.shape) ? { base, s } : undefined
}

const times = (b: Builder, v: Value, s: number): Value =>
  b.op("Mul", [v, b.constant([], "float32", Math.fround(s))], {}, v.shape, "float32")

/** Convolution is linear in both operands, so a scalar factor goes to the smaller one, or out where the result is smaller. */
const moveScalar = (
  b: Builder,
  v: Op,
  inputs: readonly Value[],
  usedOnce: (v: Value) => boolean,
): Value | undefined => {
  const [x, w] = inputs
  const same = (operands: readonly Value[]): Value => b.op(v.op, operands, v.attrs, v.shape, v.dtype)
  const factor = scaled(x)
  switch (v.op) {
    case "Conv":
    case "ConvInputGrad":
      if (factor !== undefined && Ir.size(w!.shape) < Ir.size(x!.shape))
        return same([factor.base, times(b, w!, factor.s)])
      return undefined
    case "ConvFilterGrad": {
      if (Ir.size(v.shape) >= Ir.size(x!.shape)) return undefined
      if (factor !== undefined) return times(b, same([factor.base, w!]), factor.s)
      const second = scaled(w)
      return second && times(b, same([x!, second.base]), second.s)
    }
    case "ReduceSum":
    case "ReduceMean":
    case "AvgPool":
      return factor && times(b, same([factor.base]), factor.s)
    case "Mul": {
      // (conv(x, w) + bias)·s = conv(x, w·s) + bias·s, the residual branch of a block
      const s = Ir.uniform(w!)
      const sum = v.inputs[0]!
      if (s === undefined || !isOp(x, "Add") || !isOp(sum, "Add") || !usedOnce(sum) || !usedOnce(sum.inputs[0]!))
        return undefined
      const [conv, bias] = x.inputs
      if (!isOp(conv, "Conv") || bias!.shape.length !== 1 || Ir.size(conv.inputs[1]!.shape) >= Ir.size(conv.shape))
        return undefined
      const product = b.op("Conv", [conv.inputs[0]!, times(b, conv.inputs[1]!, s)], conv.attrs, conv.shape, "float32")
      return b.op("Add", [product, times(b, bias!, s)], {}, v.shape, "float32")
    }
  }
  return undefined
}

const zeroPaddedPool = (b: Builder, v: Op, [x]: readonly Value[]): Value | undefined => {
  if (v.op !== "AvgPool" || !isOp(x, "Pad") || x.attrs.value !== 0) return undefined
  const [before, after] = [x.attrs.before as readonly number[], x.attrs.after as readonly number[]]
  const pads = v.attrs.pads as readonly number[]
  const kernel = v.attrs.kernel as readonly number[]
  const inside = [before[1]!, before[2]!, after[1]!, after[2]!].every((p, i) => p < kernel[i % 2]!)
  if (!inside || pads.some((p) => p !== 0) || before[0] !== 0 || before[3] !== 0 || after[0] !== 0 || after[3] !== 0)
    return undefined
  const attrs = { ...v.attrs, pads: [before[1]!, before[2]!, after[1]!, after[2]!], includePad: true }
  return b.op("AvgPool", x.inputs, attrs, v.shape, "float32")
}

export const rewrite = (program: Program): Program => {
  const outputs = [...Object.values(program.state), ...Object.values(program.stats)]
  const values = Ir.reachable(outputs)
  const uses = new Map<Value, number>()
  for (const v of values) if (v.kind === "op") for (const input of v.inputs) uses.set(input, (uses.get(input) ?? 0) + 1)
  const usedOnce = (v: Value): boolean => uses.get(v) === 1

  const b = Graph.builder()
  const renewed = new Map<Value, Value>()
  const renew = (v: Value): Value => {
    if (v.kind === "input") return b.input(v.role, v.name, v.shape, v.dtype)
    if (v.kind === "constant") return b.constant(v.shape, v.dtype, v.data)
    const inputs = v.inputs.map((x) => renewed.get(x)!)
    return (
      moveScalar(b, v, inputs, usedOnce) ??
      zeroPaddedPool(b, v, inputs) ??
      b.op(v.op, inputs, v.attrs, v.shape, v.dtype)
    )
  }
  for (const v of values) renewed.set(v, renew(v))
  const all = (record: Readonly<Record<string, Value>>): Record<string, Value> =>
    Object.fromEntries(Object.entries(record).map(([path, v]) => [path, renewed.get(v)!]))
  return { state: all(program.state), stats: all(program.stats) }
}
