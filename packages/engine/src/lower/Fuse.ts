/** Finds the operations to fuse into convolutions: a bias, the sum with a map of the same shape, an activation. */
import * as Ir from "../trace/Ir.ts"
import type { Epilogue } from "./Convolution.ts"

export interface Fused {
  readonly conv: Ir.Op
  readonly epilogue: Epilogue
}

export interface Plan {
  /** The last value of each fused chain → the convolution that computes it. */
  readonly ends: ReadonlyMap<Ir.Value, Fused>
  /** The other values of the chains, which are not computed. */
  readonly absorbed: ReadonlySet<Ir.Value>
}

const isBias = (v: Ir.Value, channels: number): boolean => Ir.size(v.shape) === channels && v.shape.at(-1) === channels

const fusible: ReadonlySet<string> = new Set(["Conv", "ConvInputGrad", "ChannelAffine"])

export const plan = (values: readonly Ir.Value[], outputs: ReadonlySet<Ir.Value>): Plan => {
  const users = new Map<Ir.Value, Ir.Op[]>()
  for (const v of values) {
    if (v.kind !== "op") continue
    for (const input of v.inputs) users.set(input, [...(users.get(input) ?? []), v])
  }
  /** The user of a value that has one user and is not an output. */
  const only = (v: Ir.Value): Ir.Op | undefined => {
    const all = users.get(v) ?? []
    return all.length === 1 && !outputs.has(v) ? all[0] : undefined
  }
  const other = (sum: Ir.Op, v: Ir.Value): Ir.Value => (sum.inputs[0] === v ? sum.inputs[1]! : sum.inputs[0]!)

  const ends = new Map<Ir.Value, Fused>()
  const absorbed = new Set<Ir.Value>()
  for (const conv of values) {
    if (conv.kind !== "op" || !fusible.has(conv.op)) continue
    const isAffine = conv.op === "ChannelAffine"
    const stride1 = isAffine || (conv.attrs.strides as readonly number[]).every((s) => s === 1)
    const chain: Ir.Value[] = [conv]
    let epilogue: Epilogue = {}
    let next = only(conv)
    if (
      !isAffine &&
      next?.op === "Add" &&
      next.inputs[0] !== next.inputs[1] &&
      isBias(other(next, conv), conv.shape[3]!) &&
      Ir.sameShape(next.shape, conv.shape)
    ) {
      epilogue = { bias: other(next, conv) }
      chain.push(next)
      next = only(next)
    }
    const last = chain.at(-1)!
    if (stride1 || conv.op === "Conv") {
      // if both operands of a sum are convolutions, only one of the two can be fused with the sum
      if (next?.op === "Add" && next.inputs[0] !== next.inputs[1] && !absorbed.has(next) && !ends.has(next)) {
        const addend = other(next, last)
        if (
          Ir.sameShape(addend.shape, next.shape) &&
          Ir.sameShape(last.shape, next.shape) &&
          addend.kind !== "constant"
        ) {
          epilogue = { ...epilogue, sum: addend }
          chain.push(next)
          next = only(next)
        }
      }
      if ((next?.op === "LeakyRelu" || next?.op === "Relu") && !ends.has(next)) {
        epilogue = { ...epilogue, activation: { type: next.op, alpha: (next.attrs.alpha as number | undefined) ?? 0 } }
        chain.push(next)
      }
    }
    const end = chain.at(-1)!
    if (end === conv || ends.has(end)) continue
    for (const v of chain.slice(0, -1)) absorbed.add(v)
    ends.set(end, { conv, epilogue })
  }
  return { ends, absorbed }
}
