/**
 * Rewrites a traced program into an equal one that computes less. The rules build through the rewriting builder, so the result
 * of a rule is rewritten too.
 */
import * as GraphBuilder from "./GraphBuilder.ts"
import type { Builder, Op, Program, Value } from "./Ir.ts"
import * as Ir from "./Ir.ts"
import * as PerImageFactors from "./PerImageFactors.ts"
import type { Rule } from "./Rule.ts"
import * as ScalarFactors from "./ScalarFactors.ts"

/** Zero padding before average pooling becomes the padding of the pool. */
const zeroPaddedPool: Rule = (b, { op, inputs: [x], attrs, shape }) => {
  if (op !== "AvgPool" || !Ir.isOp(x, "Pad") || x.attrs.value !== 0) return undefined
  const [before, after] = [x.attrs.before as readonly number[], x.attrs.after as readonly number[]]
  const kernel = attrs.kernel as readonly number[]
  const around = [before[1]!, before[2]!, after[1]!, after[2]!]
  const other = [before[0], before[3], after[0], after[3]]
  const fits = around.every((p, i) => p < kernel[i % 2]!) && other.every((p) => p === 0)
  if (!fits || (attrs.pads as readonly number[]).some((p) => p !== 0)) return undefined
  return b.op("AvgPool", x.inputs, { ...attrs, pads: around, includePad: true }, shape, "float32")
}

const rules: readonly Rule[] = [zeroPaddedPool, PerImageFactors.rule, ScalarFactors.rule]

export const program = (traced: Program): Program => {
  const values = Ir.reachable([...Object.values(traced.state), ...Object.values(traced.stats)])
  const uses = new Map<Value, number>()
  for (const v of values) if (v.kind === "op") for (const input of v.inputs) uses.set(input, (uses.get(input) ?? 0) + 1)

  const plain = GraphBuilder.make()
  const b: Builder = {
    ...plain,
    op: (op, inputs, attrs, shape, dtype) => {
      for (const rule of rules) {
        const better = rule(b, { op, inputs, attrs, shape, dtype })
        if (better !== undefined) return better
      }
      return plain.op(op, inputs, attrs, shape, dtype)
    },
  }
  const renewed = new Map<Value, Value>()
  const renew = (v: Value): Value => {
    if (v.kind === "input") return b.input(v.role, v.name, v.shape, v.dtype)
    if (v.kind === "constant") return b.constant(v.shape, v.dtype, v.data)
    const once = (x: Op): boolean => uses.get(x) === 1
    return (
      ScalarFactors.intoBranch(b, v, (x) => renewed.get(x)!, once) ??
      b.op(
        v.op,
        v.inputs.map((x) => renewed.get(x)!),
        v.attrs,
        v.shape,
        v.dtype,
      )
    )
  }
  for (const v of values) renewed.set(v, renew(v))
  const all = (record: Readonly<Record<string, Value>>): Record<string, Value> =>
    Object.fromEntries(Object.entries(record).map(([path, v]) => [path, renewed.get(v)!]))
  return { state: all(traced.state), stats: all(traced.stats) }
}
