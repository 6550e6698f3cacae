/** Opens an engine by name, and finds out which engines work on this machine. */
import { Failure } from "@adafm/core"
import { Session } from "@adafm/onnx"
import * as Eager from "./backends/Eager.ts"
import * as Onnx from "./backends/Onnx.ts"
import * as TensorFlow from "./backends/TensorFlow.ts"
import * as Wasm from "./backends/Wasm.ts"
import type { Engine } from "./Engine.ts"

export interface Choice {
  readonly engine?: Engine["name"] | undefined
  /** Execution provider of the onnx engine. */
  readonly provider?: string | undefined
  readonly threads?: number | undefined
}

export interface Availability {
  readonly name: Engine["name"]
  readonly available: boolean
  readonly reason?: string
  readonly version?: string
}

export const names = ["onnx", "tensorflow", "wasm", "cpu"] as const satisfies readonly Engine["name"][]

/** The command that installs an engine. */
export const fix = (name: Engine["name"]): string =>
  ({
    onnx: `npm install --ignore-scripts onnxruntime-node@${Session.PINNED}`,
    tensorflow: TensorFlow.fix(),
    wasm: "npm install @tensorflow/tfjs-backend-wasm@4.22.0",
    cpu: "npm install @tensorflow/tfjs-backend-cpu@4.22.0",
  })[name]

/** Why an engine does not start, without the command that installs it. */
const reasonOf = (name: Engine["name"], thrown: unknown): string =>
  Failure.fromThrown(thrown).message.replace(`; install it with: ${fix(name)}`, "")

const unavailable = (name: Engine["name"], thrown: unknown): never =>
  Failure.raise(
    "NoEngine",
    `the ${name} engine is not available: ${reasonOf(name, thrown)}; install it with: ${fix(name)}, ` +
      `or choose another engine: ${names.filter((other) => other !== name).join(", ")}`,
  )

const start = async (name: Engine["name"], { provider, threads }: Choice): Promise<Engine> => {
  switch (name) {
    case "onnx":
      await Session.version() // fails where ONNX Runtime is not installed
      return Onnx.create({ ...(provider !== undefined && { provider }), ...(threads !== undefined && { threads }) })
    case "tensorflow": {
      const made = await TensorFlow.create()
      return "reason" in made ? Failure.raise("NoEngine", made.reason) : made
    }
    case "wasm":
      return Wasm.create()
    case "cpu":
      return Eager.cpu()
  }
}

/** Fails unless the engine, `onnx` by default, has the given execution provider. */
export const checkProvider = async ({ engine = "onnx", provider }: Choice): Promise<void> => {
  if (provider === undefined) return
  if (engine !== "onnx") Failure.raise("UnknownProvider", `providers belong to the onnx engine, ${engine} has none`)
  const known = await Session.providers().catch((thrown: unknown) => unavailable("onnx", thrown))
  if (!known.includes(provider))
    Failure.raise("UnknownProvider", `ONNX Runtime has no provider ${provider} here; there are ${known.join(", ")}`)
}

/** The given engine; `onnx` by default. Fails with `UnknownEngine`, `UnknownProvider` or `NoEngine`. */
export const open = async (choice: Choice = {}): Promise<Engine> => {
  const { engine = "onnx" } = choice
  if (!names.includes(engine))
    Failure.raise("UnknownEngine", `there is no engine ${engine}; choose one of ${names.join(", ")}`)
  await checkProvider(choice)
  return start(engine, choice).catch((thrown: unknown) => unavailable(engine, thrown))
}

/** Tries to open every engine. The first available one is the default. */
export const probe = async (): Promise<readonly Availability[]> => {
  const found: Availability[] = []
  for (const name of names) {
    try {
      await start(name, {})
      const version = name === "onnx" ? await Session.version() : "4.22.0"
      found.push({ name, available: true, version })
    } catch (thrown) {
      found.push({ name, available: false, reason: reasonOf(name, thrown) })
    }
  }
  return found
}
