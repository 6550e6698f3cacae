/// <reference lib="webworker" />
/** ONNX Runtime of a browser: `onnxruntime-web`, imported when the first session is created. Node has another `Runtime`. */
import type * as Ort from "onnxruntime-web"

export type { InferenceSession, Tensor } from "onnxruntime-web"
export type Api = Pick<typeof Ort, "InferenceSession" | "Tensor" | "env">

/** The version of ONNX Runtime that this project is tested with. */
export const PINNED = "1.30.0"

/** A build of the runtime: `wasm` computes on the processor only, the other two on the graphics card too. */
export type Build = "wasm" | "jspi" | "asyncify"

/** Addresses of a build's two files, `ort-wasm-simd-threaded[.BUILD].{mjs,wasm}`. */
export interface Files {
  readonly mjs: string
  readonly wasm: string
}

let files: Partial<Readonly<Record<Build, Files>>> = {}

/** Where a page serves the runtime's files; call it before the first session. By default next to the runtime's own script. */
export const locate = (found: typeof files): void => {
  files = found
}

/** The default build of the package (JSEP) refuses the training step. JSPI lets WebAssembly wait for the card without a rewritten binary. */
const buildFor = (provider: string): Build =>
  provider !== "webgpu" ? "wasm" : "Suspending" in WebAssembly ? "jspi" : "asyncify"

const builds: Readonly<Record<Build, () => Promise<typeof Ort>>> = {
  wasm: () => import("onnxruntime-web/wasm"),
  jspi: () => import("onnxruntime-web/jspi"),
  asyncify: () => import("onnxruntime-web/webgpu"),
}

let loaded: Promise<typeof Ort> | undefined
let isGpu = false

const start = async (build: Build): Promise<typeof Ort> => {
  const ort = await builds[build]()
  const { wasm } = ort.env
  const found = files[build]
  if (found !== undefined) wasm.wasmPaths = found
  wasm.numThreads = threads()
  return ort
}

/** One build serves all sessions of a page. It has the graphics card if the first session asks for it. */
export const load = (provider: string): Promise<Api> => {
  if (loaded === undefined) {
    isGpu = provider === "webgpu"
    loaded = start(buildFor(provider))
    loaded.catch(() => {
      loaded = undefined
    })
  } else if (provider === "webgpu" && !isGpu)
    return Promise.reject(new Error("the graphics card must be asked for by the first session of a page"))
  return loaded
}

/** Execution providers of this browser. */
export const providers = async (): Promise<readonly string[]> => ("gpu" in navigator ? ["cpu", "webgpu"] : ["cpu"])

export const version = async (): Promise<string> => PINNED

/** The runtime's own name of a provider. */
export const nameOf = (provider: string): string => (provider === "cpu" ? "wasm" : provider)

let wanted: number | undefined

/** Asks for a number of threads; call it before the first session. */
export const useThreads = (count: number): void => {
  wanted = count
}

/** Threads share memory, which a page has only if it is cross-origin isolated. Beyond four processors half of them share a core. */
export const threads = (): number => {
  if (!globalThis.crossOriginIsolated) return 1
  const count = navigator.hardwareConcurrency
  return wanted ?? (count <= 4 ? count : Math.min(8, count >> 1))
}

/** Whether a run writes into preallocated outputs. On the processor it returns new arrays, and the preallocated ones stay as they were. */
export const fills = (provider: string): boolean => provider === "webgpu"

/** No provider needs a library. */
export const missingLibrary = (_provider: string): string | undefined => undefined

/** The garbage collector frees results of WebAssembly. */
export const free = (_tensors: readonly Ort.Tensor[]): void => {}
