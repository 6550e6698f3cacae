/** Opens an engine by name, and finds out which engines work on this machine. */
import { Session } from "@adafm/onnx"
import * as Eager from "./backends/Eager.ts"
import * as Onnx from "./backends/Onnx.ts"
import * as TensorFlow from "./backends/TensorFlow.ts"
import * as Wasm from "./backends/Wasm.ts"
import type { Engine } from "./Engine.ts"

export interface Choice {
  readonly engine?: Engine["name"]
  readonly provider?: string
  readonly threads?: number
}

export interface Availability {
  readonly name: Engine["name"]
  readonly available: boolean
  readonly reason?: string
  readonly version?: string
}

export const names = ["onnx", "tensorflow", "wasm", "cpu"] as const satisfies readonly Engine["name"][]

const reasonOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))

/** The given engine; `onnx` by default. */
export const open = async ({ engine = "onnx", provider, threads }: Choice = {}): Promise<Engine> => {
  switch (engine) {
    case "onnx":
      return Onnx.create({ ...(provider !== undefined && { provider }), ...(threads !== undefined && { threads }) })
    case "tensorflow": {
      const made = await TensorFlow.create()
      if ("reason" in made) throw new Error(`the tensorflow engine is not available: ${made.reason}`)
      return made
    }
    case "wasm":
      return Wasm.create()
    case "cpu":
      return Eager.cpu()
  }
}

/** The command that installs an engine. */
export const fix = (name: Engine["name"]): string =>
  ({
    onnx: `npm install --ignore-scripts onnxruntime-node@${Session.PINNED}`,
    tensorflow: TensorFlow.fix(),
    wasm: "npm install @tensorflow/tfjs-backend-wasm@4.22.0",
    cpu: "npm install @tensorflow/tfjs-backend-cpu@4.22.0",
  })[name]

/** Tries to open every engine. The first available one is the default. */
export const probe = async (): Promise<readonly Availability[]> => {
  const found: Availability[] = []
  for (const name of names) {
    try {
      await open({ engine: name })
      const version = name === "onnx" ? await Session.version() : "4.22.0"
      found.push({ name, available: true, version })
    } catch (thrown) {
      found.push({ name, available: false, reason: reasonOf(thrown) })
    }
  }
  return found
}
