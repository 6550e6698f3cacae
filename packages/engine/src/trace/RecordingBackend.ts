/**
 * A TensorFlow.js backend that computes nothing: it records every kernel that a step calls (forward, gradient, gradient of a
 * gradient) as a value of a graph.
 */
import { Failure } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type * as Ir from "./Ir.ts"
import * as Kernels from "./Kernels.ts"
import * as Unsupported from "./Unsupported.ts"

const NAME = "adafm-trace"

class RecordingBackend extends tf.KernelBackend {
  readonly values = new WeakMap<object, Ir.Value>()
  graph: Ir.Builder | undefined
  private count = 0

  get building(): Ir.Builder {
    if (this.graph === undefined) throw new Error("no step is being traced")
    return this.graph
  }
  /** A tensor that represents a value. */
  info(value: Ir.Value): tf.TensorInfo {
    const dataId = {}
    this.values.set(dataId, value)
    this.count++
    return { dataId, shape: [...value.shape], dtype: value.dtype }
  }
  value(tensor: tf.TensorInfo): Ir.Value {
    const value = this.values.get(tensor.dataId)
    if (value === undefined) {
      return Failure.raise(
        "ForeignTensor",
        `a tensor of shape [${tensor.shape.join(", ")}] was created outside the step; pass it in with the state or the batch`,
      )
    }
    return value
  }
  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): tf.DataId {
    const dataId = {}
    this.move(dataId, values, shape, dtype)
    return dataId
  }
  override move(dataId: tf.DataId, values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): void {
    if (dtype !== "float32" && dtype !== "int32" && dtype !== "bool") {
      Failure.raise("UnsupportedDType", `a compiled step cannot use ${dtype} tensors, only float32, int32 and bool`)
    }
    const data = values as Float32Array | Int32Array | Uint8Array
    const elements =
      dtype === "float32" ? Float32Array.from(data) : dtype === "int32" ? Int32Array.from(data) : Uint8Array.from(data)
    this.values.set(dataId, this.building.constant([...shape], dtype as Ir.DType, elements))
    this.count++
  }
  override readSync(): never {
    return Failure.raise(
      "ReadInsideStep",
      "a tensor's value was read inside a compiled step (dataSync, arraySync, print); return the tensor in the stats instead",
    )
  }
  override read(): never {
    return this.readSync()
  }
  override disposeData(): boolean {
    this.count--
    return true
  }
  override incRef(): void {}
  override refCount(): number {
    return 1
  }
  override numDataIds(): number {
    return this.count
  }
  override memory(): { unreliable: boolean } {
    return { unreliable: true }
  }
  override floatPrecision(): 32 {
    return 32
  }
  override epsilon(): number {
    return 1e-7
  }
}

const backend = new RecordingBackend()
tf.registerBackend(NAME, () => backend, 0)
for (const [kernelName, kernel] of Object.entries(Kernels.table)) {
  tf.registerKernel({
    kernelName,
    backendName: NAME,
    kernelFunc: ({ inputs, attrs }) => {
      const values = Object.entries(inputs).map(([name, t]) => [name, backend.value(t as tf.TensorInfo)] as const)
      const result = kernel(backend.building, Object.fromEntries(values), (attrs ?? {}) as Record<string, unknown>)
      return Array.isArray(result) ? result.map((v) => backend.info(v)) : backend.info(result as Ir.Value)
    },
  })
}

/** V8 lets a program choose how many frames a stack trace has; other engines do not. */
const traces = Error as { readonly prototype: Error; stackTraceLimit?: number }

/** Runs `body` on the recording backend, with random numbers forbidden, then restores the caller's backend. */
export const record = <A>(
  graph: Ir.Builder,
  body: (wrap: (v: Ir.Value) => tf.Tensor, unwrap: (t: tf.Tensor) => Ir.Value) => A,
): A => {
  const previous = tf.engine().backendName
  const { random } = Math
  const { stackTraceLimit } = traces
  // deep enough to reach the step's own frames from inside TensorFlow.js
  traces.stackTraceLimit = 64
  backend.graph = graph
  tf.setBackend(NAME)
  tf.engine().startScope("trace")
  Math.random = () =>
    Failure.raise(
      "RandomInsideStep",
      "random numbers were drawn inside a compiled step; draw them outside and pass them in with the batch",
    )
  try {
    return body(
      (v) => {
        const { dataId, shape, dtype } = backend.info(v)
        return tf.engine().makeTensorFromDataId(dataId, [...shape], dtype as tf.DataType, backend)
      },
      (t) => backend.value(t),
    )
  } catch (thrown) {
    throw Unsupported.explain(thrown)
  } finally {
    Math.random = random
    if (stackTraceLimit !== undefined) traces.stackTraceLimit = stackTraceLimit
    tf.engine().endScope()
    backend.graph = undefined
    if (previous !== undefined && previous !== NAME) tf.setBackend(previous)
  }
}
