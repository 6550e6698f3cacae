/**
 * Moves factors that are one number per image to the far end of a chain of gradients.
 *
 * A discriminator's logit is one number per image, so the gradients that different losses send back through it differ only by a
 * factor per image, and everything on the way (convolutions, pooling, masks of piecewise-linear activations) is linear. With the
 * factors at the far end, one chain of gradients serves several losses: the chain that computes R1's ∂D/∂x also serves the loss on
 * the reals, and the discriminator's chain on the fakes also serves the generator. The filter gradients of these losses then share
 * an operand and become one: `F(s·a, g) + F(t, g) = F(s·a + t, g)`. This is exact algebra on the graph of plain double
 * backpropagation.
 */
import type { Builder, Value } from "./Ir.ts"
import * as Ir from "./Ir.ts"
import type { Rule } from "./Rule.ts"
import * as ScalarFactors from "./ScalarFactors.ts"

interface Factored {
  readonly base: Value
  /** `[N, 1, …, 1]`, of the same rank as base. */
  readonly s: Value
}

const isPerImage = (v: Value, rank: number): boolean =>
  v.kind !== "constant" &&
  v.shape.length === rank &&
  rank >= 2 &&
  v.shape[0]! > 1 &&
  v.shape.slice(1).every((d) => d === 1)

const factored = (b: Builder, v: Value | undefined): Factored | undefined => {
  if (!Ir.isOp(v, "Mul") || v.shape.length < 2) return undefined
  const [p, q] = v.inputs as [Value, Value]
  const [base, s] = isPerImage(q, v.shape.length) ? [p, q] : [q, p]
  if (!isPerImage(s, v.shape.length) || isPerImage(v, v.shape.length) || s.shape[0] !== v.shape[0]) return undefined
  return {
    base: Ir.sameShape(base.shape, v.shape) ? base : b.op("Broadcast", [base], { shape: v.shape }, v.shape, v.dtype),
    s,
  }
}

const perImage = (b: Builder, base: Value, s: Value): Value => {
  const fitted = b.op(
    "Reshape",
    [s],
    {},
    base.shape.map((d, axis) => (axis === 0 ? d : 1)),
    "float32",
  )
  return b.op("Mul", [base, fitted], {}, base.shape, "float32")
}

/** The terms of a sum of values of one shape. */
const terms = (v: Value): readonly Value[] =>
  Ir.isOp(v, "Add") && v.inputs.every((x) => Ir.sameShape(x.shape, v.shape)) ? v.inputs.flatMap(terms) : [v]

/** Filter gradients in a sum that share their second operand and scalar factor become one. */
const sumOfFilterGradients: Rule = (b, { inputs: [x, y], shape, dtype }) => {
  if (!Ir.sameShape(x!.shape, shape) || !Ir.sameShape(y!.shape, shape) || shape.length !== 4) return undefined
  const right = terms(y!)
  const key = (v: Value): string | undefined => {
    const { base, s } = ScalarFactors.scaled(v) ?? { base: v, s: 1 }
    return Ir.isOp(base, "ConvFilterGrad") ? `${base.inputs[1]!.id} ${s} ${JSON.stringify(base.attrs)}` : undefined
  }
  const left = [...terms(x!)]
  const rest: Value[] = []
  for (const term of right) {
    const at = key(term) === undefined ? -1 : left.findIndex((other) => key(other) === key(term))
    if (at < 0) {
      rest.push(term)
      continue
    }
    const [p, q] = [
      ScalarFactors.scaled(left[at]!) ?? { base: left[at]!, s: 1 },
      ScalarFactors.scaled(term) ?? { base: term, s: 1 },
    ]
    if (p.base.kind !== "op" || q.base.kind !== "op") return undefined
    const [a, c] = [p.base.inputs[0]!, q.base.inputs[0]!]
    const joined = b.op(
      "ConvFilterGrad",
      [b.op("Add", [a, c], {}, a.shape, "float32"), p.base.inputs[1]!],
      p.base.attrs,
      shape,
      dtype,
    )
    left[at] = p.s === 1 ? joined : ScalarFactors.times(b, joined, p.s)
  }
  if (rest.length === right.length) return undefined
  return [...left, ...rest].reduce((sum, term) => b.op("Add", [sum, term], {}, shape, dtype))
}

const linearInFirst = new Set(["Conv", "ConvInputGrad", "AvgPool", "Upsample", "Pad", "Slice", "Reverse"])

export const rule: Rule = (b, pending) => {
  const { op, inputs, attrs, shape, dtype } = pending
  const [x, y] = inputs
  const same = (first: Value, ...others: readonly Value[]): Value => b.op(op, [first, ...others], attrs, shape, dtype)

  if (op === "MatMul") {
    if (shape.length !== 2 || attrs.transposeA === true) return undefined
    if (x!.shape[1] === 1) {
      // the gradient of one logit: the same row of weights for every image, times the image's factor
      const row = b.op("Reshape", [y!], {}, [1, shape[1]!], dtype)
      return b.op("Mul", [b.op("Broadcast", [row], { shape }, shape, dtype), x!], {}, shape, dtype)
    }
    const f = factored(b, x)
    return f && perImage(b, same(f.base, y!), f.s)
  }
  if (op === "ConvFilterGrad") {
    const f = factored(b, y)
    return f && same(perImage(b, x!, f.s), f.base)
  }
  if (op === "ReduceSum") {
    const f = factored(b, x)
    if (f === undefined || shape.length !== 1 || (attrs.axes as readonly number[]).join() !== "0,1,2") return undefined
    const [n, c] = [x!.shape[0]!, x!.shape[3]!]
    const perChannel = b.op("ReduceSum", [f.base], { axes: [1, 2], keepDims: false }, [n, c], dtype)
    const row = b.op("Reshape", [f.s], {}, [1, n], dtype)
    return b.op(
      "Reshape",
      [b.op("MatMul", [row, perChannel], { transposeA: false, transposeB: false }, [1, c], dtype)],
      {},
      shape,
      dtype,
    )
  }
  if (linearInFirst.has(op)) {
    const f = factored(b, x)
    // if the operand has few channels (an image), the factor is cheapest where it is
    if (
      f === undefined ||
      shape[0] !== x!.shape[0] ||
      (op.startsWith("Conv") && Ir.size(shape) > 4 * Ir.size(x!.shape))
    )
      return undefined
    if (op === "Pad" && attrs.value !== 0) return undefined
    return perImage(b, same(f.base, ...inputs.slice(1)), f.s)
  }
  if (op === "Reshape" || op === "Transpose") {
    const f = factored(b, x)
    const keepsImages =
      op === "Reshape" ? shape[0] === x?.shape[0] && shape.length >= 2 : (attrs.perm as readonly number[])[0] === 0
    return f && keepsImages ? perImage(b, same(f.base), f.s) : undefined
  }
  if (op === "Mul") {
    const f = factored(b, x)
    const g = factored(b, y)
    if (f !== undefined && !isPerImage(y!, shape.length) && g === undefined && Ir.sameShape(x!.shape, shape)) {
      return perImage(b, b.op("Mul", [f.base, y!], {}, shape, dtype), f.s)
    }
    if (g !== undefined && f === undefined && !isPerImage(x!, shape.length) && Ir.sameShape(y!.shape, shape)) {
      return perImage(b, b.op("Mul", [x!, g.base], {}, shape, dtype), g.s)
    }
    return undefined
  }
  if (op === "Add") {
    const [f, g] = [factored(b, x), factored(b, y)]
    if (f !== undefined && g !== undefined && f.s === g.s && Ir.sameShape(f.base.shape, g.base.shape)) {
      return perImage(b, b.op("Add", [f.base, g.base], {}, shape, dtype), f.s)
    }
    return sumOfFilterGradients(b, pending)
  }
  return undefined
}
