/** ONNX Runtime of Node: `onnxruntime-node`, imported when the first session is created. A browser has another `Runtime`. */
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { MessageChannel } from "node:worker_threads"
import type * as Ort from "onnxruntime-node"
import * as PhysicalCores from "./PhysicalCores.ts"

export type { InferenceSession, Tensor } from "onnxruntime-node"
export type Api = Pick<typeof Ort, "InferenceSession" | "Tensor" | "env">

/** The version of ONNX Runtime that this project is tested with. */
export const PINNED = "1.30.0"

/**
 * The native library reads this variable when it is loaded. Without it ONNX Runtime writes a database and a device id into the home
 * folder and opens connections to an event collector.
 */
const NO_TELEMETRY = { ORT_DISABLE_TELEMETRY: "1" } as const

const imported = (): Promise<typeof Ort> => {
  Object.assign(process.env, NO_TELEMETRY)
  return import("onnxruntime-node").catch((cause: unknown) => {
    throw new Error(
      `onnxruntime-node cannot be loaded; install it with: npm install --ignore-scripts onnxruntime-node@${PINNED}`,
      { cause },
    )
  })
}

/** @param _provider the execution provider of the first session */
export const load = (_provider: string): Promise<Api> => imported()

/** Execution providers that this build contains. */
export const providers = async (): Promise<readonly string[]> =>
  (await imported()).listSupportedBackends().map(({ name }) => name)

export const version = async (): Promise<string> => (await imported()).env.versions.common ?? "unknown"

/** The runtime's own name of a provider. */
export const nameOf = (provider: string): string => provider

/** One per physical core that this process may use. */
export const threads = (): number => PhysicalCores.count()

/** Whether a run writes into preallocated outputs. */
export const fills = (_provider: string): boolean => true

/** Providers whose libraries the npm package does not contain: its install script downloads them from other servers. */
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

const { port1: nowhere, port2 } = new MessageChannel()
port2.close()
nowhere.unref()

/** Frees memory at once instead of at the next garbage collection: buffers that are transferred to a closed port are released. */
export const free = (tensors: readonly Ort.Tensor[]): void => {
  nowhere.postMessage(
    undefined,
    tensors.map(({ data }) => (data as Float32Array).buffer as ArrayBuffer),
  )
}
