/** The filter gradient of one convolution: its operands and sizes. */
import type * as Ir from "../trace/Ir.ts"

export interface Problem {
  readonly x: Ir.Value
  readonly dy: Ir.Value
  readonly batch: number
  /** Pixels of dy. */
  readonly height: number
  readonly width: number
  readonly kernel: readonly [number, number]
  readonly cin: number
  readonly cout: number
  readonly strides: readonly [number, number]
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number]
}
