/** What is usable on this machine, and for everything else the command that mends it. */
import { Failure } from "@adafm/core"
import { type Engine, Engines } from "@adafm/engine"
import { Extractor, type Protocol } from "@adafm/metrics"
import { Graph, Session } from "@adafm/onnx"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as Weights from "./Weights.ts"

export interface ProviderHealth {
  readonly name: string
  readonly available: boolean
  readonly reason?: string
  readonly fix?: string
}

export interface EngineHealth extends Engines.Availability {
  /** Execution providers of the onnx engine. */
  readonly providers?: readonly ProviderHealth[]
  readonly fix?: string
}

export interface WeightsHealth {
  readonly name: string
  readonly about: string
  readonly present: boolean
  readonly path?: string
  readonly fix?: string
}

export interface Health {
  readonly node: string
  readonly engines: readonly EngineHealth[]
  readonly default: Engine["name"] | null
  readonly weights: readonly WeightsHealth[]
}

/** Commands that bring an engine back. */
const fixes: Readonly<Record<Engine["name"], string>> = {
  onnx: "npm install --ignore-scripts onnxruntime-node@1.30.0",
  tensorflow: "npm install @tensorflow/tfjs-node-gpu@4.22.0 && npm rebuild @tensorflow/tfjs-node-gpu (Node 20 or 22)",
  wasm: "npm install @tensorflow/tfjs-backend-wasm@4.22.0",
  cpu: "npm install @tensorflow/tfjs-backend-cpu@4.22.0",
}

/** What each execution provider needs beside the package. */
const providerFixes: Readonly<Record<string, string>> = {
  cuda: "ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node (with CUDA 12 and cuDNN 9 installed)",
  tensorrt: "ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node (with CUDA 12 and TensorRT 10 installed)",
  webgpu: "apt-get install libvulkan1 mesa-vulkan-drivers (or the graphics card's own driver)",
}

/** A provider is usable when a session on it computes relu(-1) = 0. */
const tryProvider = async (name: string): Promise<ProviderHealth> => {
  const g = Graph.builder()
  g.output("y", g.op("Relu", [g.input("x", "float32", [1])]), "float32", [1])
  try {
    const session = await Session.create(Graph.encode(g.graph()), { provider: name, threads: 1 })
    const { y } = await session
      .run({ x: { dtype: "float32", shape: [1], data: Float32Array.of(-1) } })
      .finally(session.release)
    return (y?.data as Float32Array | undefined)?.[0] === 0
      ? { name, available: true }
      : { name, available: false, reason: "it computes wrongly" }
  } catch (thrown) {
    const [reason = ""] = (thrown instanceof Error ? thrown.message : String(thrown)).split("\n")
    const fix = providerFixes[name]
    return { name, available: false, reason: reason.replace(/^.*was false\. /, ""), ...(fix !== undefined && { fix }) }
  }
}

const providers = async (): Promise<readonly ProviderHealth[]> => {
  const found: ProviderHealth[] = []
  for (const name of await Session.providers()) found.push(await tryProvider(name))
  return found
}

const WEIGHTS: readonly {
  readonly name: string
  readonly mode: Protocol.Mode
  readonly about: string
  /** Of `weights fetch`. */
  readonly asset: string
}[] = [
  {
    name: "inception",
    mode: "pytorch-fid",
    about: "2048 dimensions and logits: FID, KID, IS as published",
    asset: "inception",
  },
  {
    name: "inception-768",
    mode: "pytorch-fid",
    about: "768 dimensions: FID and KID of small sets",
    asset: "inception",
  },
  {
    name: "inception (authors)",
    mode: "authors",
    about: "torchvision's network: the paper's own scores",
    asset: "inception-torchvision",
  },
]

export const examine = async (folders: readonly string[] = Weights.folders()): Promise<Health> => {
  const engines: EngineHealth[] = []
  for (const { reason, ...found } of await Engines.probe())
    engines.push({
      ...found,
      ...(reason !== undefined && { reason: reason.replace(/\.? *Mend it with: .*$/, "") }),
      ...(found.available && found.name === "onnx" && { providers: await providers() }),
      ...(!found.available && { fix: fixes[found.name] }),
    })
  return {
    node: process.versions.node,
    engines,
    default: engines.find(({ available }) => available)?.name ?? null,
    weights: WEIGHTS.map(({ name, mode, about, asset }) => {
      const path = Extractor.findWeights({ name: name.split(" ")[0]!, mode, folders })
      return {
        name,
        about,
        present: path !== undefined,
        ...(path === undefined ? { fix: `npx adafm weights fetch ${asset}` } : { path }),
      }
    }),
  }
}

export interface Choice {
  readonly engine?: Engine["name"] | undefined
  readonly provider?: string | undefined
  readonly threads?: number | undefined
}

const opened = async ({ engine, provider, threads }: Choice): Promise<Engine> => {
  if (engine === "onnx") {
    const known = await Session.providers()
    if (provider !== undefined && !known.includes(provider))
      Failure.raise("NoProvider", `ONNX Runtime has no provider ${provider} here; there are ${known.join(", ")}`)
  } else if (provider !== undefined)
    Failure.raise("NoProvider", `providers belong to the onnx engine, ${engine} has none`)
  return Engines.open({
    ...(engine !== undefined && { engine }),
    ...(provider !== undefined && { provider }),
    ...(threads !== undefined && { threads }),
  })
}

/** The engine asked for, or the first that works here. */
export const engine = (choice: Choice = {}): TE.TaskEither<Failure.Failure, Engine> =>
  Failure.attempt(async () => {
    const names =
      choice.engine !== undefined
        ? [choice.engine]
        : choice.provider !== undefined
          ? (["onnx"] as const)
          : Engines.names
    const reasons: string[] = []
    for (const name of names)
      try {
        return await opened({ ...choice, engine: name })
      } catch (thrown) {
        if (thrown instanceof Failure.Raised) throw thrown
        reasons.push(
          `${name}: ${thrown instanceof Error ? thrown.message : String(thrown)}; mend it with: ${fixes[name]}`,
        )
      }
    return Failure.raise("NoEngine", reasons.join("; "))
  })
