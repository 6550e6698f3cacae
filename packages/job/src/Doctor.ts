/** What is usable on this machine, and for everything else the command that mends it. */
import { Failure } from "@adafm/core"
import { type Engine, Engines } from "@adafm/engine"
import { Extractor, type Protocol } from "@adafm/metrics"
import { Session } from "@adafm/onnx"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as Weights from "./Weights.ts"

export interface EngineHealth extends Engines.Availability {
  /** Execution providers of the onnx engine. */
  readonly providers?: readonly string[]
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

const fetch = (url: string): string => `curl -L --create-dirs --output-dir ${Weights.cache()} -O ${url}`

const WEIGHTS: readonly {
  readonly name: string
  readonly mode: Protocol.Mode
  readonly about: string
  readonly url: string
}[] = [
  {
    name: "inception",
    mode: "pytorch-fid",
    about: "2048 dimensions and logits: FID, KID, IS as published",
    url: "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
  },
  {
    name: "inception-768",
    mode: "pytorch-fid",
    about: "768 dimensions: FID and KID of small sets",
    url: "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
  },
  {
    name: "inception (authors)",
    mode: "authors",
    about: "torchvision's network: the paper's own scores",
    url: "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
  },
]

export const examine = (): Promise<Health> => examineWith(Weights.folders())

const examineWith = async (folders: readonly string[]): Promise<Health> => {
  const engines: EngineHealth[] = []
  for (const { reason, ...found } of await Engines.probe())
    engines.push({
      ...found,
      ...(reason !== undefined && { reason: reason.replace(/\.? *Mend it with: .*$/, "") }),
      ...(found.available && found.name === "onnx" && { providers: await Session.providers() }),
      ...(!found.available && { fix: fixes[found.name] }),
    })
  return {
    node: process.versions.node,
    engines,
    default: engines.find(({ available }) => available)?.name ?? null,
    weights: WEIGHTS.map(({ name, mode, about, url }) => {
      const path = Extractor.findWeights({ name: name.split(" ")[0]!, mode, folders })
      return { name, about, present: path !== undefined, ...(path === undefined ? { fix: fetch(url) } : { path }) }
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
