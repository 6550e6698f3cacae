/** What is usable on this machine, and for everything that is not, the command that installs it. */
import { fork } from "node:child_process"
import { dirname, extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure } from "@adafm/core"
import { PictureCodec } from "@adafm/data"
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
  /** The decoder of photographs. */
  readonly images: DecoderHealth
  /** Bundled models. */
  readonly models: readonly { readonly name: string; readonly about: string }[]
  readonly engines: readonly EngineHealth[]
  readonly default: Engine["name"] | null
  readonly weights: readonly WeightsHealth[]
}

const here = fileURLToPath(import.meta.url)
/** TypeScript in the repository, JavaScript in the published package. */
const probe = join(dirname(here), "..", "run", `ProviderProbe${extname(here)}`)
/** Milliseconds to wait for a driver that hangs. */
const PATIENCE = 60_000

const tryProvider = async (name: string): Promise<ProviderHealth> => {
  const library = Session.missingLibrary(name)
  if (library !== undefined) return { name, available: false, reason: "its library is not installed", fix: library }
  const child = fork(probe, [name], { stdio: ["ignore", "ignore", "ignore", "ipc"], timeout: PATIENCE })
  return new Promise((resolve) => {
    const lost = (why: unknown): void =>
      resolve({ name, available: false, reason: `the process that tried it ended (${why})` })
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
  /** The name that `weights fetch` takes. */
  readonly asset: string
}[] = [
  {
    name: "inception",
    mode: "pytorch-fid",
    about: "2048 dimensions and logits: for FID, KID and IS as published",
    asset: "inception",
  },
  {
    name: "inception-768",
    mode: "pytorch-fid",
    about: "768 dimensions: for FID and KID of few images",
    asset: "inception",
  },
  {
    name: "inception (authors)",
    mode: "authors",
    about: "torchvision's network: for scores as in the paper",
    asset: "inception-torchvision",
  },
]

const decoder = async (): Promise<DecoderHealth> => {
  try {
    return { available: true, version: `sharp ${(await PictureCodec.versions()).sharp}` }
  } catch {
    return { available: false, fix: PictureCodec.INSTALL }
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

/** @param command how the user calls the command: `npx adafm` */
export const examine = async (
  folders: readonly string[] = WeightFolders.all(),
  command = "npx adafm",
): Promise<Health> => {
  const engines: EngineHealth[] = []
  for (const found of await Engines.probe())
    engines.push({
      ...found,
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

const opened = async (choice: Engines.Choice): Promise<Engine> => {
  const { provider } = choice
  await Engines.checkProvider(choice)
  // a session would fail only at the first step, with the driver's message
  if (provider !== undefined && provider !== "cpu") {
    const { available, reason, fix } = await tryProvider(provider)
    const remedy = fix === undefined ? "" : `; fix it with: ${fix}`
    if (!available) Failure.raise("NoProvider", `provider ${provider} does not work here: ${reason}${remedy}`)
  }
  return Engines.open(choice)
}

/** The chosen engine, or the first that works here. */
export const engine = (choice: Engines.Choice = {}): TE.TaskEither<Failure.Failure, Engine> =>
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
        const { _tag, message } = Failure.fromThrown(thrown)
        if (_tag !== "NoEngine") throw thrown
        reasons.push(message)
      }
    return Failure.raise("NoEngine", reasons.join("; "))
  })
