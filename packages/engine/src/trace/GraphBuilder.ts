/**
 * Builds the graph. Equal operations on equal values are one value (hash-consing), so there are no common subexpressions: the
 * generator's forward pass, which both the G step and the D step need, is traced twice and computed once.
 */
import type { Builder, Value } from "./Ir.ts"
import * as Simplify from "./Simplify.ts"

const uniformOf = (data: Float32Array | Int32Array | Uint8Array): number | undefined => {
  const first = data[0]
  return first !== undefined && data.every((x) => Object.is(x, first)) ? first : undefined
}

export const make = (): Builder => {
  const known = new Map<string, Value>()
  let count = 0
  const share = (key: string, make: (id: number) => Value): Value => {
    const old = known.get(key)
    if (old !== undefined) return old
    const value = make(count++)
    known.set(key, value)
    return value
  }
  const self: Builder = {
    input: (role, name, shape, dtype) =>
      share(`input ${role} ${name}`, (id) => ({ kind: "input", id, role, name, shape, dtype })),
    constant: (shape, dtype, data) => {
      const value = typeof data === "number" ? data : (uniformOf(data) ?? data)
      const key =
        typeof value === "number"
          ? `${value}${Object.is(value, -0) ? "-" : ""}`
          : new TextDecoder("latin1").decode(value)
      return share(`constant ${dtype} ${shape.join()} ${key}`, (id) => ({
        kind: "constant",
        id,
        shape,
        dtype,
        data: value,
      }))
    },
    op: (op, inputs, attrs, shape, dtype) =>
      Simplify.operation(self, op, inputs, attrs, shape, dtype) ??
      share(`${op} ${inputs.map((v) => v.id).join()} ${dtype} ${shape.join()} ${JSON.stringify(attrs)}`, (id) => ({
        kind: "op",
        id,
        op,
        inputs,
        attrs,
        shape,
        dtype,
      })),
  }
  return self
}
