/** What is usable on this machine, and for everything else the command that mends it. */
import { fork } from "node:child_process"
import { dirname, extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure } from "@adafm/core"
import { Image } from "@adafm/data"
import { type Engine, Engines } from "@adafm/engine"
import { Extractor, type Protocol } from "@adafm/metrics"
import { Session } from "@adafm/onnx"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as BundledModels from "../run/BundledModels.ts"
import * as Model from "../run/Model.ts"
import * as WeightFolders from "../run/WeightFolders.ts"

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

export interface DecoderHealth {
  readonly available: boolean
  readonly version?: string
  readonly fix?: string
}

export interface Health {
  readonly node: string
  /** What reads photographs. */
  readonly images: DecoderHealth
  /** Models that come along. */
  readonly models: readonly { readonly name: string; readonly about: string }[]
  readonly engines: readonly EngineHealth[]
  readonly default: Engine["name"] | null
  readonly weights: readonly WeightsHealth[]
}

const here = fileURLToPath(import.meta.url)
/** TypeScript in the repository, JavaScript in the published package. */
const worker = join(dirname(here), "..", "run", `ProviderProbe${extname(here)}`)
/** Milliseconds after which a driver that does not answer is given up. */
const PATIENCE = 60_000

const tryProvider = async (name: string): Promise<ProviderHealth> => {
  const library = Session.missingLibrary(name)
  if (library !== undefined) return { name, available: false, reason: "its library is not installed", fix: library }
  const child = fork(worker, [name], { stdio: ["ignore", "ignore", "ignore", "ipc"], timeout: PATIENCE })
  return new Promise((resolve) => {
    const lost = (why: unknown): void => resolve({ name, available: false, reason: `its process ended (${why})` })
    child
      .on("message", (health: ProviderHealth) => resolve(health))
      .on("error", ({ message }) => lost(message))
      .on("exit", (code, signal) => lost(signal ?? `code ${code}`))
  })
}

const providers = async (): Promise<readonly ProviderHealth[]> =>
  Promise.all((await Session.providers()).map(tryProvider))

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

const decoder = async (): Promise<DecoderHealth> => {
  try {
    return { available: true, version: `sharp ${(await Image.versions()).sharp}` }
  } catch {
    return { available: false, fix: Image.INSTALL }
  }
}

const models = async (): Promise<Health["models"]> => {
  const found = BundledModels.names().map(async (name) => {
    const { gan } = await Failure.orThrow(Model.open(`builtin:${name}`))
    const { architecture } = gan.config
    return { name: `builtin:${name}`, about: `${architecture}, ${gan.image[0]} px` }
  })
  return Promise.all(found)
}

/** An engine that says what mends it: that is said beside the reason. */
const withoutFix = (reason: string): string => reason.replace(/\.? *Install it with: .*$/, "")

/** @param command how the command is called here: `npx adafm` */
export const examine = async (
  folders: readonly string[] = WeightFolders.all(),
  command = "npx adafm",
): Promise<Health> => {
  const engines: EngineHealth[] = []
  for (const { reason, ...found } of await Engines.probe())
    engines.push({
      ...found,
      ...(reason !== undefined && { reason: withoutFix(reason) }),
      ...(found.available && found.name === "onnx" && { providers: await providers() }),
      ...(!found.available && { fix: Engines.fix(found.name) }),
    })
  return {
    node: process.versions.node,
    images: await decoder(),
    models: await models(),
    engines,
    default: engines.find(({ available }) => available)?.name ?? null,
    weights: WEIGHTS.map(({ name, mode, about, asset }) => {
      const path = Extractor.findWeights({ name: name.split(" ")[0]!, mode, folders })
      return {
        name,
        about,
        present: path !== undefined,
        ...(path === undefined ? { fix: `${command} weights fetch ${asset}` } : { path }),
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
      Failure.raise("UnknownProvider", `ONNX Runtime has no provider ${provider} here; there are ${known.join(", ")}`)
    // a session would only say so with the first step, in the driver's words
    if (provider !== undefined && provider !== "cpu") {
      const { available, reason, fix } = await tryProvider(provider)
      const mend = fix === undefined ? "" : `; mend it with: ${fix}`
      if (!available) Failure.raise("NoProvider", `provider ${provider} does not work here: ${reason}${mend}`)
    }
  } else if (provider !== undefined)
    Failure.raise("UnknownProvider", `providers belong to the onnx engine, ${engine} has none`)
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
          `${name}: ${withoutFix(thrown instanceof Error ? thrown.message : String(thrown))}; mend it with: ${Engines.fix(name)}`,
        )
      }
    return Failure.raise("NoEngine", reasons.join("; "))
  })
