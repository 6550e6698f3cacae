/** Pushes a folder that `export --hub` wrote to the Hugging Face Hub, with the user's token from the environment. */
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { Failure } from "@adafm/core"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as HubModel from "../hub/HubModel.ts"

export interface Options {
  readonly folder: string
  /** `hf:owner/name` */
  readonly to: string
  /** Whether a repository that does not exist yet is made private; true by default. */
  readonly isPrivate?: boolean
  /** The title of the commit. */
  readonly message?: string
}

export interface Outcome {
  /** The page of the model. */
  readonly url: string
  /** `hf:owner/name@COMMIT` */
  readonly reference: string
  readonly files: readonly string[]
  /** Whether the repository was made. */
  readonly created: boolean
}

/** What `export --hub` writes; nothing else of the folder is sent. */
const FILES = [
  "README.md",
  "config.json",
  "model.json",
  "generator.safetensors",
  "discriminator.safetensors",
  "generator.onnx",
  "samples.png",
]
const OPTIONAL = ["discriminator.safetensors"]

/** Refuses a card whose licence or data nobody has stated: the Hub's pages are public. */
const checkStated = (card: string, folder: string, isPrivate: boolean): void => {
  if (!isPrivate && /^license: unknown$/m.test(card))
    Failure.raise(
      "NoLicence",
      "the model card states no licence: write the folder again with export --hub … --licence ID, or publish it with --private",
      { file: join(folder, "README.md") },
    )
}

const refused = (thrown: unknown, to: string): never => {
  const { statusCode } = thrown as { readonly statusCode?: number }
  if (statusCode === 401 || statusCode === 403)
    Failure.raise("HubRefused", "the Hub refused the token in HF_TOKEN: it must be able to write to this repository", {
      file: to,
    })
  return Failure.raise("HubRefused", `the Hub refused: ${Failure.fromThrown(thrown).message}`, { file: to })
}

export const run = ({ folder, to, isPrivate = false, message }: Options): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const { repo, revision } = HubModel.parse(to)
    const files = FILES.filter((name) => existsSync(join(folder, name)))
    const missing = FILES.filter((name) => !files.includes(name) && !OPTIONAL.includes(name))
    if (missing.length > 0)
      Failure.raise(
        "NoModel",
        `the folder has no ${missing.join(", ")}: write it with adafm export MODEL --hub FOLDER`,
        {
          file: folder,
        },
      )
    checkStated(await readFile(join(folder, "README.md"), "utf8"), folder, isPrivate)
    const { accessToken, hubUrl = "https://huggingface.co" } = HubModel.credentials()
    if (accessToken === undefined)
      return Failure.raise(
        "NoToken",
        "set HF_TOKEN to a token of Hugging Face that may write (huggingface.co/settings/tokens)",
      )
    const hub = await import("@huggingface/hub")
    const common = { repo, accessToken, hubUrl }
    try {
      const created = await hub.createRepo({ ...common, visibility: isPrivate ? "private" : "public" }).then(
        () => true,
        (thrown: { readonly statusCode?: number }) => {
          // it exists already
          if (thrown.statusCode !== 409) throw thrown
          return false
        },
      )
      const contents = await Promise.all(
        files.map(async (name) => {
          const bytes = await readFile(join(folder, name))
          const own =
            name === "README.md" ? Buffer.from(bytes.toString("utf8").replaceAll("hf:OWNER/NAME", `hf:${repo}`)) : bytes
          return { path: name, content: new Blob([Uint8Array.from(own)]) }
        }),
      )
      const done = await hub.uploadFiles({
        ...common,
        files: contents,
        commitTitle: message ?? "Upload a generator made with adafm",
        useXet: false,
        ...(revision !== undefined && { branch: revision }),
      })
      const commit = done?.commit.oid
      return {
        url: `${hubUrl}/${repo}`,
        reference: `hf:${repo}${commit === undefined ? "" : `@${commit}`}`,
        files,
        created,
      }
    } catch (thrown) {
      return thrown instanceof Failure.Raised
        ? Failure.raise(thrown.failure._tag, thrown.failure.message)
        : refused(thrown, to)
    }
  })
