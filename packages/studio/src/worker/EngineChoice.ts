/** Which engine a page uses: the graphics card where there is a real one, otherwise the processor. */
import { Failure } from "@adafm/core"
import { type Engine, Onnx } from "@adafm/engine"
import * as Runtime from "@adafm/onnx/Runtime.browser"
import type { Engine as Chosen } from "../protocol/Protocol.ts"

/** Where the page serves the runtime's binaries, next to itself. */
const served = (build: string): Runtime.Files => {
  const name = `ort-wasm-simd-threaded${build === "wasm" ? "" : `.${build}`}`
  const address = (end: string): string => new URL(`${BASE}ort/${name}.${end}`, self.location.href).href
  return { mjs: address("mjs"), wasm: address("wasm") }
}

/** The page's folder, seen from the worker's script in `assets`. */
const BASE = import.meta.env.DEV ? "/" : "../"

let opened: Promise<Engine> | undefined

/** The engine of this worker. */
export const engine = (): Promise<Engine> =>
  opened ?? Promise.reject(new Error("the worker was not started: call `start` first"))

/** What a browser tells about a graphics card; empty texts where it tells nothing. */
interface CardInfo {
  readonly vendor: string
  readonly architecture: string
  readonly description: string
  readonly isFallbackAdapter?: boolean
}

/** A card without a driver is imitated by the processor, many times slower than WebAssembly on the same processor. */
const isImitated = (info: CardInfo): boolean =>
  info.isFallbackAdapter === true ||
  /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${info.architecture} ${info.description}`)

const onProcessor = (reason: string): Chosen => {
  const threads = Runtime.threads()
  const why = globalThis.crossOriginIsolated
    ? reason
    : `${reason}; one thread, because this server does not isolate the page (\`adafm studio\` does)`
  return { provider: "cpu", name: `WebAssembly, ${threads} ${threads === 1 ? "thread" : "threads"}`, reason: why }
}

const choose = async (asked: "cpu" | "webgpu" | undefined): Promise<Chosen> => {
  if (asked === "cpu") return onProcessor("the processor was asked for")
  if (!("gpu" in navigator)) return onProcessor("this browser has no WebGPU")
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" }).catch(() => null)
  if (adapter === null) return onProcessor("the browser found no graphics card")
  const info = (adapter as unknown as { readonly info: CardInfo }).info
  if (isImitated(info) && asked !== "webgpu")
    return onProcessor("there is no graphics card here, only its imitation in software")
  const { vendor, architecture, description } = info
  const card = description || [vendor, architecture].filter((part) => part !== "").join(" ") || "a graphics card"
  return {
    provider: "webgpu",
    name: `WebGPU, ${card}`,
    reason: "the graphics card is the fastest part of this computer",
  }
}

export const open = async (given: {
  readonly provider?: "cpu" | "webgpu"
  readonly threads?: number
}): Promise<Chosen> => {
  Runtime.locate({ wasm: served("wasm"), jspi: served("jspi"), asyncify: served("asyncify") })
  if (given.threads !== undefined) Runtime.useThreads(given.threads)
  const chosen = await choose(given.provider)
  opened = Onnx.create({ provider: chosen.provider, blocked: false })
  opened.catch(() => undefined)
  await opened.catch((thrown: unknown) =>
    Failure.raise("NoEngine", `${chosen.name} does not start: ${Failure.fromThrown(thrown).message}`),
  )
  return chosen
}
