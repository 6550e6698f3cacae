/** A model loaded into ONNX Runtime. The native package is imported when the first session is created. */
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { MessageChannel } from "node:worker_threads"
import type * as Ort from "onnxruntime-node"
import type { DType, TensorData } from "./Graph.ts"
import * as PhysicalCores from "./PhysicalCores.ts"

export type Tensor = Ort.Tensor

export interface Options {
  /** Execution provider: `cpu` (default), `cuda`, `webgpu`, `coreml`, `dml`, … */
  readonly provider?: string
  /** Threads inside one operator; by default one per physical core that this process may use. */
  readonly threads?: number
  /** Graph optimisation by ONNX Runtime; `all` by default. */
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

export const defaultThreads = PhysicalCores.count()

/** The version of ONNX Runtime that this project is tested with. */
export const PINNED = "1.30.0"

const load = (): Promise<typeof Ort> =>
  import("onnxruntime-node").catch((cause: unknown) => {
    throw new Error(
      `onnxruntime-node cannot be loaded; install it with: npm install --ignore-scripts onnxruntime-node@${PINNED}`,
      { cause },
    )
  })

/** Execution providers that this build of ONNX Runtime contains. */
export const providers = async (): Promise<readonly string[]> =>
  (await load()).listSupportedBackends().map(({ name }) => name)

/** Whether the binding can leave a provider's outputs in the device's memory: WebGPU only, in 1.30. */
export const keepsOutputs = (provider: string): boolean => provider === "webgpu"

/** Providers whose libraries are too large for the npm package. */
const SEPARATE: readonly string[] = ["cuda", "tensorrt"]

/**
 * The command that downloads a provider's library, or undefined where it is present or not needed. Trying the provider without its
 * library would make the runtime write to stderr.
 */
export const missingLibrary = (provider: string): string | undefined => {
  if (!SEPARATE.includes(provider)) return undefined
  const root = join(dirname(createRequire(import.meta.url).resolve("onnxruntime-node")), "..")
  const { platform, arch } = process
  const name = `onnxruntime_providers_${provider}`
  const file = platform === "win32" ? `${name}.dll` : `lib${name}.so`
  return existsSync(join(root, "bin", "napi-v6", platform, arch, file))
    ? undefined
    : `node "${join(root, "script", "install.js")}" --onnxruntime-node-install=cuda12`
}

export const version = async (): Promise<string> => (await load()).env.versions.common ?? "unknown"

const ortType: Partial<Record<DType, Ort.Tensor.Type>> = {
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

let loaded: typeof Ort | undefined

/** Wraps an array as a native tensor without copying it. Throws before the first session, and for types that the API lacks. */
export const tensorOf = ({ dtype, shape, data }: TensorData): Tensor => {
  if (loaded === undefined) throw new Error("ONNX Runtime is not loaded yet: create a session before its tensors")
  const type = ortType[dtype]
  if (type === undefined) throw new Error(`ONNX Runtime's JavaScript API has no ${dtype} tensors`)
  return new loaded.Tensor(type, data as never, [...shape]) as Tensor
}

const toData = (t: Tensor): TensorData => ({ dtype: t.type as DType, shape: t.dims, data: t.data as Float32Array })

const { port1: nowhere, port2 } = new MessageChannel()
port2.close()
nowhere.unref()

/** Frees memory at once instead of at the next garbage collection: buffers that are transferred to a closed port are released. */
const free = (tensors: readonly Tensor[]): void => {
  nowhere.postMessage(
    undefined,
    tensors.map(({ data }) => (data as Float32Array).buffer as ArrayBuffer),
  )
}

/**
 * Loads a model. Rejects where `onnxruntime-node` is not installed, naming the command that installs it, and with ONNX Runtime's
 * error where the model or the provider is refused.
 * @param model the bytes of an `.onnx` file or its path
 */
export const create = async (model: Uint8Array | string, options: Options = {}): Promise<Session> => {
  const ort = await load()
  loaded = ort
  const { provider = "cpu", threads = defaultThreads, optimization = "all", arena = true } = options
  const { resident = [], profile } = options
  const settings: Ort.InferenceSession.SessionOptions = {
    executionProviders: [provider],
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
    const results = await session.run(feeds, fetches)
    const preallocated = Object.entries(fetches).filter((entry): entry is [string, Tensor] => entry[1] !== null)
    // the binding of 1.30 fills the preallocated tensors and still returns copies
    free(preallocated.map(([name]) => results[name]!).filter((copy, i) => copy.data !== preallocated[i]![1].data))
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
