/**
 * Where a TensorFlow.js function runs. A step is written once, over path-keyed tensors; an engine compiles it to a
 * program that owns the step's state.
 */
import type { Flat, NdArray } from "@adafm/core"
import type * as tf from "@tensorflow/tfjs-core"

export type Tensors = Flat.Flat<tf.Tensor>
export type Arrays = Flat.Flat<NdArray.NdArray<"float32" | "int32">>

/**
 * A pure function `(state, batch) → { state, stats }`. `state` answers only the paths that change; a path that it leaves out
 * keeps its value (frozen parameters are state too). It must not read a tensor's value and must not draw random numbers.
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

/** A compiled step together with its state. Arrays cross in compute layout: images NHWC, filters HWIO. */
export interface Program {
  /** Replaces the given paths of the state; all paths must have been written once before the first `run`. */
  readonly write: (state: Arrays) => void
  /** Copies state out: all of it, or the given paths. */
  readonly read: (paths?: readonly Flat.Path[]) => Promise<Arrays>
  /** One step: takes a batch, updates the state, answers the stats. */
  readonly run: (batch: Arrays) => Promise<Arrays>
  /**
   * A step for each batch, in order, and the stats of each; all batches have one shape. Same bits as `run` after `run`. On the onnx engine it is one
   * call, during which the state does not come back to JavaScript but lies in memory once more.
   */
  readonly runAll: (batches: readonly Arrays[]) => Promise<readonly Arrays[]>
  readonly dispose: () => Promise<void>
}

export interface Engine {
  readonly name: "onnx" | "tensorflow" | "wasm" | "cpu"
  /** Execution provider of the onnx engine, e.g. `cpu`, `cuda`, `webgpu`. */
  readonly provider?: string
  readonly compile: (step: Step, specs: Specs) => Promise<Program>
}
