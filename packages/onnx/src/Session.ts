/** A model loaded into ONNX Runtime, whose package is imported when the first session is created. */
import * as Runtime from "#Runtime"
import type { DType, TensorData } from "./Graph.ts"

export type Tensor = Runtime.Tensor

export interface Options {
  /** Execution provider: `cpu` (default), `cuda`, `webgpu`, `coreml`, `dml`, … */
  readonly provider?: string
  /** Threads inside one operator; by default one per physical core that this process may use. */
  readonly threads?: number
  /** Graph optimisation by ONNX Runtime; `all` by default, `basic` on WebGPU. */
  readonly optimization?: "disabled" | "basic" | "extended" | "all"
  /** Keeps memory for the next run (default): up to twice the peak need of a large graph. */
  readonly arena?: boolean
  /** Outputs that stay in the device's memory as inputs of the next run; possible where `keepsOutputs(provider)`. */
  readonly resident?: readonly string[]
  /** Writes a Chrome trace of every operator to `<prefix>_<time>.json` when the session ends. */
  readonly profile?: string
}

export interface Session {
  readonly inputs: readonly string[]
  /** Shapes by input; a free dimension is given by its name, or `""` without one. */
  readonly inputShapes: Readonly<Record<string, readonly (number | string)[]>>
  readonly outputs: readonly string[]
  /**
   * Runs on native tensors. `fetches` may hold preallocated results, also in the memory of feeds that are no longer read when the
   * result is written.
   */
  readonly runTensors: (
    feeds: Readonly<Record<string, Tensor>>,
    fetches?: Readonly<Record<string, Tensor | null>>,
  ) => Promise<Readonly<Record<string, Tensor>>>
  /** Runs on arrays. */
  readonly run: (feeds: Readonly<Record<string, TensorData>>) => Promise<Readonly<Record<string, TensorData>>>
  readonly endProfiling: () => void
  readonly release: () => Promise<void>
}

export const defaultThreads = Runtime.threads()

export const { PINNED, providers, version, missingLibrary } = Runtime

/** Whether the binding can leave a provider's outputs in the device's memory: WebGPU only, in 1.30. */
export const keepsOutputs = (provider: string): boolean => provider === "webgpu"

/**
 * Above `basic`, ONNX Runtime fuses a convolution with its activation. On WebGPU (1.30, native and in browsers) the fused tanh is NaN
 * for |x| of 89 and more, so that a saturated generator would become NaN.
 */
const optimizationFor = (provider: string): "basic" | "all" => (provider === "webgpu" ? "basic" : "all")

const ortType: Partial<Record<DType, Tensor["type"]>> = {
  float32: "float32",
  float64: "float64",
  float16: "float16",
  int64: "int64",
  int32: "int32",
  int16: "int16",
  int8: "int8",
  uint8: "uint8",
  bool: "bool",
}

let loaded: Runtime.Api | undefined

/** Wraps an array as a native tensor without copying it. Throws before the first session, and for types that the API lacks. */
export const tensorOf = ({ dtype, shape, data }: TensorData): Tensor => {
  if (loaded === undefined) throw new Error("ONNX Runtime is not loaded yet: create a session before its tensors")
  const type = ortType[dtype]
  if (type === undefined) throw new Error(`ONNX Runtime's JavaScript API has no ${dtype} tensors`)
  return new loaded.Tensor(type, data as never, [...shape]) as Tensor
}

const toData = (t: Tensor): TensorData => ({ dtype: t.type as DType, shape: t.dims, data: t.data as Float32Array })

/**
 * Loads a model. Rejects where ONNX Runtime's package is not installed, naming the command that installs it, and with its
 * error where the model or the provider is refused.
 * @param model the bytes of an `.onnx` file or its path
 */
export const create = async (model: Uint8Array | string, options: Options = {}): Promise<Session> => {
  const { provider = "cpu", threads = defaultThreads, arena = true } = options
  const ort = await Runtime.load(provider)
  loaded = ort
  const optimization = options.optimization ?? optimizationFor(provider)
  const { resident = [], profile } = options
  const settings: Runtime.InferenceSession.SessionOptions = {
    executionProviders: [Runtime.nameOf(provider)],
    intraOpNumThreads: threads,
    graphOptimizationLevel: optimization,
    logSeverityLevel: 3,
    enableCpuMemArena: arena,
    enableMemPattern: arena,
    ...(resident.length > 0 && {
      preferredOutputLocation: Object.fromEntries(resident.map((name) => [name, "gpu-buffer"] as const)),
    }),
    ...(profile !== undefined && { enableProfiling: true, profileFilePrefix: profile }),
  }
  const session = await (typeof model === "string"
    ? ort.InferenceSession.create(model, settings)
    : ort.InferenceSession.create(model, settings))
  const runTensors: Session["runTensors"] = async (feeds, fetches) => {
    if (fetches === undefined) return session.run(feeds)
    const preallocated = Object.entries(fetches).filter((entry): entry is [string, Tensor] => entry[1] !== null)
    const isFilled = Runtime.fills(provider)
    const results = await session.run(feeds, isFilled ? fetches : Object.keys(fetches))
    if (!isFilled)
      for (const [name, { data }] of preallocated) (data as Float32Array).set(results[name]!.data as Float32Array)
    // the native binding of 1.30 fills the preallocated tensors and still returns copies
    Runtime.free(
      preallocated.map(([name]) => results[name]!).filter((copy, i) => copy.data !== preallocated[i]![1].data),
    )
    return { ...results, ...Object.fromEntries(preallocated) }
  }
  return {
    inputs: session.inputNames,
    inputShapes: Object.fromEntries(
      session.inputMetadata.map((input) => [input.name, input.isTensor ? input.shape : []]),
    ),
    outputs: session.outputNames,
    runTensors,
    run: async (feeds) => {
      const native: Record<string, Tensor> = {}
      for (const [name, data] of Object.entries(feeds)) native[name] = tensorOf(data)
      const results = await runTensors(native)
      return Object.fromEntries(Object.entries(results).map(([name, t]) => [name, toData(t)]))
    },
    endProfiling: () => session.endProfiling(),
    release: () => session.release(),
  }
}
