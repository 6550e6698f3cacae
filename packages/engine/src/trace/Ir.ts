/**
 * The traced program: a graph of values, each an input, a constant or an operation on other values. A value that no output
 * depends on is dead code.
 */
export type DType = "float32" | "int32" | "bool"
export type Attrs = Readonly<Record<string, number | string | boolean | readonly number[] | undefined>>

export interface Meta {
  readonly id: number
  readonly shape: readonly number[]
  readonly dtype: DType
}
export interface Input extends Meta {
  readonly kind: "input"
  readonly name: string
  readonly role: "state" | "batch"
}
export interface Constant extends Meta {
  readonly kind: "constant"
  /** The elements, or one number if all elements are equal. */
  readonly data: Float32Array | Int32Array | Uint8Array | number
}
export interface Op extends Meta {
  readonly kind: "op"
  readonly op: string
  readonly inputs: readonly Value[]
  readonly attrs: Attrs
}
export type Value = Input | Constant | Op

export interface Builder {
  readonly input: (role: Input["role"], name: string, shape: readonly number[], dtype: DType) => Value
  readonly constant: (shape: readonly number[], dtype: DType, data: Constant["data"]) => Value
  readonly op: (op: string, inputs: readonly Value[], attrs: Attrs, shape: readonly number[], dtype: DType) => Value
}

export const size = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)
export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i])

/** The value of a constant whose elements are all equal; `undefined` for anything else. */
export const uniform = (v: Value): number | undefined =>
  v.kind === "constant" && typeof v.data === "number" ? v.data : undefined

export const isOp = (v: Value | undefined, op: string): v is Op => v?.kind === "op" && v.op === op

/** A traced step: the values it returns, by name. */
export interface Program {
  readonly state: Readonly<Record<string, Value>>
  readonly stats: Readonly<Record<string, Value>>
}

/** The given values and all values they depend on; every value comes after its inputs. */
export const reachable = (outputs: Iterable<Value>): readonly Value[] => {
  const order: Value[] = []
  const seen = new Set<Value>()
  const stack: { readonly value: Value; readonly done: boolean }[] = [...outputs].map((value) => ({
    value,
    done: false,
  }))
  while (stack.length > 0) {
    const { value, done } = stack.pop()!
    if (done) {
      order.push(value)
      continue
    }
    if (seen.has(value)) continue
    seen.add(value)
    stack.push({ value, done: true })
    if (value.kind === "op") for (const input of value.inputs) stack.push({ value: input, done: false })
  }
  return order
}
