/**
 * Runs a TensorFlow.js function. A step is written once, over tensors keyed by path; an engine compiles it to a program that
 * owns the step's state.
 */
import type { Flat, NdArray } from "@adafm/core"
import type * as tf from "@tensorflow/tfjs-core"

export type Tensors = Flat.Flat<tf.Tensor>
export type Arrays = Flat.Flat<NdArray.NdArray<"float32" | "int32">>

/**
 * A pure function `(state, batch) → { state, stats }`. The returned `state` holds only the paths that change; every other path
 * keeps its value (frozen parameters are state too). A step must not read a tensor's value and must not draw random numbers.
 */
export type Step = (state: Tensors, batch: Tensors) => { readonly state?: Tensors; readonly stats: Tensors }

export interface Spec {
  readonly shape: readonly number[]
  readonly dtype: "float32" | "int32"
}

export interface Specs {
  readonly state: Flat.Flat<Spec>
  readonly batch: Flat.Flat<Spec>
}

/** A compiled step together with its state. Arrays go in and out in compute layout: images NHWC, filters HWIO. */
export interface Program {
  /** Replaces the given paths of the state. Every path must be written before the first `run`. */
  readonly write: (state: Arrays) => void
  /** Copies the state out: all of it, or the given paths. */
  readonly read: (paths?: readonly Flat.Path[]) => Promise<Arrays>
  /** One step: takes a batch, updates the state, returns the stats. */
  readonly run: (batch: Arrays) => Promise<Arrays>
  /**
   * One step for each batch, in order; returns the stats of each. All batches must have the same shapes. The results equal those of `run` after `run`, bit
   * for bit. On the onnx engine this is one call: the state does not come back to JavaScript between steps, but a second copy of it is in memory.
   */
  readonly runAll: (batches: readonly Arrays[]) => Promise<readonly Arrays[]>
  readonly dispose: () => Promise<void>
}

export interface Engine {
  readonly name: "onnx" | "tensorflow" | "wasm" | "cpu"
  /** Execution provider of the onnx engine, e.g. `cpu`, `cuda`, `webgpu`. */
  readonly provider?: string
  /** Threads inside one operator, where the engine knows: with another number, sums are rounded in another order. */
  readonly threads?: number
  readonly compile: (step: Step, specs: Specs) => Promise<Program>
}
