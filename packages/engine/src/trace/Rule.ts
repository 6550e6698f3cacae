/** A rewrite rule: takes an operation that is about to be built and returns a cheaper equal value, if there is one. */
import type { Attrs, Builder, DType, Value } from "./Ir.ts"

export interface Pending {
  readonly op: string
  readonly inputs: readonly Value[]
  readonly attrs: Attrs
  readonly shape: readonly number[]
  readonly dtype: DType
}
export type Rule = (b: Builder, pending: Pending) => Value | undefined
